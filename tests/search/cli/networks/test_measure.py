"""What `latlab measure` shows while it measures, beside its results, and after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, cast

import pytest

from host.cli.console import Screen
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import Footprint, LatencyEstimate, MeasuredLatency, RawSamples
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool
from search.cli.networks import live_estimates, measure
from search.cli.networks.live_estimates import MAX_ROWS, LiveEstimates
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from tests.host.fake_lab import TARGET
from tests.search.cli.networks.test_commands import Lab, run
from tests.search.fakes import estimate

FOOTPRINT = Footprint(4_200_000, 3.1e6, 21.0e6, 60_000_000, None)


def provisional(visits: int, latency_ns: int = 10**7) -> LatencyEstimate:
    raw = RawSamples(latency_ns, latency_ns, latency_ns, 10 * visits, visits, 0)
    return replace(estimate(latency_ns), raw=raw)


@dataclass
class NarrowingLab(Lab):
    """A lab that makes some visits of each program; in the last one, it may be interrupted."""

    interrupted: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    specs: list[BenchmarkSpec | None] = field(default_factory=list)

    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile],
        spec: object,
        **options: Any,  # noqa: ANN401 -- those of the client
    ) -> list[Outcome]:
        self.options = options
        files = list(programs)
        for visits in (1, 2):
            for number, file in enumerate(files):
                options["on_estimate"](file.program.sha256, provisional(visits, 10**7 + number))
        if self.interrupted:
            raise KeyboardInterrupt
        outcomes = super().measure(target, files, spec)
        return [
            replace(outcome, footprint=FOOTPRINT)
            if isinstance(outcome, MeasuredLatency)
            else outcome
            for outcome in outcomes
        ]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> NarrowingLab:
    lab = NarrowingLab()

    @contextmanager
    def session(
        target: str | None,
        spec: BenchmarkSpec | None = None,
        priority: int = 0,
        deployment: Deployment = DEFAULT_DEPLOYMENT,
    ) -> Iterator[Session]:
        lab.specs.append(spec)
        client = cast(LatencyClient, lab)
        opened = TargetLab(client, TARGET, cast(ExportPool, lab), deployment=deployment)
        yield Session(client, TARGET, opened, cast(ExportPool, lab), deployment)

    monkeypatch.setattr(measure, "session", session)
    monkeypatch.setenv("COLUMNS", "100")
    return lab


def test_where_no_terminal_is_the_first_value_of_each_network_is_a_line(lab: NarrowingLab) -> None:
    code, shown, _ = run("measure mnasnet-a1 mobilenet-v2")
    assert code == 0
    for name in ("mnasnet-a1", "mobilenet-v2"):
        assert shown.count(f"{name}: 10.0 ms so far, 90 % interval") == 1
    assert shown.count("from 1 visit ") == 2
    assert lab.options["pause_when_left"] is True


def test_what_a_network_costs_beside_its_latency_fits_100_columns(lab: NarrowingLab) -> None:
    code, shown, _ = run("measure mnasnet-a1")
    assert code == 0
    assert "│ mnasnet-a1 │ 4.20 MB │ 3.10 ms │ 21.0 ms │ 60.00 MB │ │" in shown
    assert "planned memory" in shown


def test_ctrl_c_shows_what_is_known_and_says_that_the_lab_keeps_it(lab: NarrowingLab) -> None:
    lab.interrupted = True
    code, shown, _ = run("measure mnasnet-a1")
    assert code == 130
    assert "latency so far" in shown
    assert "│ mnasnet-a1 │ 10.0 ms │ " in shown
    assert "│ 2 │" in shown
    assert "The lab keeps the visits that were made" in shown


def test_quick_stops_at_the_width_of_the_interval(lab: NarrowingLab) -> None:
    assert run("measure --quick mnasnet-a1")[0] == 0
    assert run("measure mnasnet-a1")[0] == 0
    assert lab.specs == [BenchmarkSpec.quick(), None]
    code, _, error = run("measure --quick --sustained 5 mnasnet-a1")
    assert code == 2
    assert "exclude each other" in error


def test_on_a_terminal_the_networks_that_changed_last_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    screen.file, screen._force_terminal, screen.is_interactive = StringIO(), True, True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(live_estimates, "console", screen)
    names = [f"network-{number}" for number in range(MAX_ROWS + 2)]
    with LiveEstimates(names, "board") as live:
        for position in range(len(names)):
            live.update(position, provisional(1))
        live.done(3)
        drawn = screen.file.getvalue()
    last = drawn[drawn.rindex("3 of 12 done") :]
    assert "network-11" in last
    assert "network-1 " not in last
    assert "so far," not in drawn  # the lines of other outputs
    assert list(live.estimates) == list(range(len(names)))
