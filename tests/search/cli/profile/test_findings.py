from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from latlab.client.client import LatencyClient
from latlab.domain.estimate import Footprint
from latlab.domain.kernel import Kernel
from latlab.domain.program import KernelSource
from latlab.export import ExportPool
from latlab.profiling.findings import Finding, FindingKind
from latlab.profiling.profile import Profile, ProfileRow, Span
from search.cli.profile.findings import findings_document, findings_text, processor_of
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from tests.host.fake_lab import TARGET

ROWS = tuple(
    ProfileRow(Kernel("gelu", ((1, 8),), (1, 8)), 1e6, 1e6, 1e6, source=source)
    for source in (
        *(KernelSource(f"block.{i}", "GELU", "net.py", i) for i in range(1, 5)),
        KernelSource("block.1", "GELU", "net.py", 1),
        None,
    )
)
PROFILE = Profile(
    "net", "target", Span(1e7, 1e7, 1e7), ROWS, None, None, is_predicted=False,
    footprint=Footprint(1),
)  # fmt: skip
FINDING = Finding(
    FindingKind.ACTIVATION, Span(5e6, 4e6, 6e6), (0, 1, 2, 3, 4, 5), "It is slow.", "Change it."
)


def test_a_finding_shows_its_cost_its_remedy_and_the_first_places_in_the_code() -> None:
    assert list(findings_text(PROFILE, [FINDING])) == [
        "Findings, worst first:",
        "1. 5.00 ms (90 % interval 4.00 to 6.00 ms), 50.0%: It is slow.",
        "   Change it. See net.py:1, net.py:2, net.py:3 and 1 more.",
    ]


def test_a_profile_without_sources_shows_no_places() -> None:
    without = PROFILE.without_sources()
    assert list(findings_text(without, [replace(FINDING, rows=())]))[-1] == "   Change it."


def test_findings_are_written_as_json() -> None:
    [document] = json.loads(json.dumps(findings_document([FINDING])))
    assert document["kind"] == "activation that is not fused"
    assert document["cost"] == {"time_ns": 5e6, "lower_ns": 4e6, "upper_ns": 6e6}


@pytest.mark.parametrize(
    ("abi", "targets", "floats"),
    [("x86_64", [TARGET.name], 16), ("aarch64", [TARGET.name], 4), ("x86_64", ["other"], 4)],
)
def test_the_processor_is_that_of_a_device_of_the_target(
    abi: str, targets: list[str], floats: int
) -> None:
    statuses = [
        SimpleNamespace(device=None, targets=[TARGET.name]),
        SimpleNamespace(device=SimpleNamespace(abi=abi), targets=targets),
    ]
    client = cast(LatencyClient, SimpleNamespace(devices=lambda: statuses))
    pool = cast(ExportPool, None)
    opened = Session(client, TARGET, TargetLab(client, TARGET, pool), pool)
    assert processor_of(opened, TARGET).vector_floats == floats
