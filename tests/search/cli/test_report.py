"""`latlab report` on studies, without a lab and with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from latlab.client.client import LatencyClient
from latlab.domain.errors import NotFound, NotReady, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.precision import Precision
from search.cli import app
from search.cli import report as report_command
from search.finalists import Finalist, write_results
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.zoo import ZOO
from search.study.settings import SearchTarget
from tests.search.fakes import TARGET_NS, estimate, settings
from tests.search.report.studies import searched


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def report(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_study_is_reported_in_its_folder(tmp_path: Path) -> None:
    searched(tmp_path / "runs" / "first", rounds=1)
    assert "without the lab" in report("first", "first")
    for name in ("report.html", "trials.csv", "results.csv", "report.json", "diversity.png"):
        assert (tmp_path / "runs" / "first" / name).stat().st_size


def test_several_are_compared_in_a_folder_named_after_them(tmp_path: Path) -> None:
    for seed in range(2):
        searched(tmp_path / "runs" / f"s{seed}", rounds=1, seed=seed)
    (tmp_path / "runs" / "s1" / "trained").mkdir()
    finalist = Finalist(ZOO["mnasnet-a1"], Precision.INT8, accuracy=0.7)
    write_results(tmp_path / "runs" / "s1" / "trained" / "results.json", [finalist], {})
    assert "s0, s1" in report("s0", "s1")
    made = tmp_path / "runs" / "comparisons" / "s0-s1"
    assert (made / "report.html").is_file()
    assert "trained, int8" in (made / "results.csv").read_text()
    report("s0", "s1", "--output", "elsewhere")
    assert (tmp_path / "elsewhere" / "comparison.json").is_file()


def test_what_does_not_compare_ends_in_one_line(tmp_path: Path) -> None:
    searched(tmp_path / "runs" / "a", rounds=1)
    searched(tmp_path / "runs" / "b", rounds=1, targets=(SearchTarget("another", TARGET_NS),))
    result = CliRunner().invoke(app, ["report", "a", "b"])
    assert result.exit_code == 2
    assert "cannot be compared" in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


Predict = Callable[[Sequence[Sequence[Kernel]]], list[LatencyEstimate]]


class FakeClient:
    """Holds "known" measurements, and `predicts`."""

    def __init__(self, predicts: Predict) -> None:
        self.predicts = predicts
        self.looked_up: list[list[str]] = []

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        return self.predicts(networks)

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        self.looked_up.append(list(measurement_ids))
        if any("known" not in id_ for id_ in measurement_ids):
            raise NotFound("no measurement 'lost'")
        return [estimate(5_000_000, Source.MEASURED) for _ in measurement_ids]


A1 = MeasuredNetwork(kernels(ZOO["mnasnet-a1"]), None, 5e6, 4e6, 6e6, unix_ns=1)
MEASURED = {"older": A1, "newer": A1}
KNOWN = {"mnasnet-a1": estimate(5_000_000, Source.MEASURED)}


def test_the_newest_measurement_of_a_published_network_counts() -> None:
    assert report_command._zoo_ids(MEASURED, Deployment()) == {"mnasnet-a1": "newer"}
    assert report_command._zoo_ids(MEASURED, Deployment(precision=Precision.INT8)) == {}


def test_all_latencies_of_a_page_are_looked_up_together() -> None:
    fake = FakeClient(not_ready)
    found = report_command._latencies(cast(LatencyClient, fake), ["known 1"], ["known 2"])
    assert list(found) == ["known 1", "known 2"]
    assert fake.looked_up == [["known 1", "known 2"]]
    found = report_command._latencies(cast(LatencyClient, fake), ["known 1", "lost"], ["known 2"])
    assert list(found) == ["known 2"]


def not_ready(networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
    raise NotReady("none yet")


def test_published_networks_are_as_measured_where_they_were_else_as_predicted() -> None:
    client = cast(LatencyClient, FakeClient(lambda networks: [estimate(10**6) for _ in networks]))
    rows = {
        row.name: row.latency for row in report_command._zoo(client, "target", KNOWN, settings())
    }
    assert list(rows) == list(ZOO)
    for name, latency in rows.items():
        assert latency is not None
        measured = latency.source is Source.MEASURED
        assert measured == (name == "mnasnet-a1")
        assert latency.latency_ns == (5_000_000 if measured else 10**6)


def other_precision(networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
    raise UnknownKernelKinds(["conv2d"])


@pytest.mark.parametrize("predicts", [not_ready, other_precision])
def test_without_a_predictor_only_measured_ones_have_a_latency(predicts: Predict) -> None:
    client = cast(LatencyClient, FakeClient(predicts))
    rows = report_command._zoo(client, "target", KNOWN, settings())
    assert {row.name for row in rows if row.latency is not None} == {"mnasnet-a1"}
