"""`latlab profile`, beside a lab whose visits are made up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from host.measuring.breakdown import breakdown_of
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DeviceStatus
from latlab.domain.errors import NotFound
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Measurement, footprint_of
from latlab.domain.program import KernelSource, ProgramFile
from latlab.domain.records.breakdown import Breakdown
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec
from latlab.export.user_network import UserNetwork
from latlab.programs import reader
from latlab.programs.reader import Listing
from search.cli import app
from search.cli.profile import command
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from tests.host.fake_lab import TARGET
from tests.host.measuring.test_breakdown import KERNELS, PROGRAM, pairs
from tests.search.fakes import estimate

OTHER_TARGET = replace(TARGET, device_model="Other Board")
SOURCES = tuple(KernelSource(f"block.{i}", "Conv2d", "net.py", 10 + i) for i in range(4))
VISITS = pairs(0.04, 0.1, 8, seed=1)


@dataclass
class Lab:
    """Exports everything to one program with sources, whose visits are made up."""

    failure: Failure | None = None
    measured: list[tuple[str, int, BenchmarkSpec, bool]] = field(default_factory=list)

    def export_each(self, specs: Iterable[ExportSpec]) -> Iterator[tuple[ExportSpec, ProgramFile]]:
        for spec in specs:
            network = getattr(spec.make, "__self__", None)
            name = network.reference if isinstance(network, UserNetwork) else "of the zoo"
            sha256 = f"{name} {spec.precision.value}"
            yield spec, ProgramFile(replace(PROGRAM, sha256=sha256), Path(), SOURCES)

    def find_target(self, wanted: str) -> Target:
        if wanted != OTHER_TARGET.name:
            raise NotFound(f"there is no target {wanted}")
        return OTHER_TARGET

    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile],
        spec: BenchmarkSpec,
        *,
        fresh: bool,
        **_: object,
    ) -> list[Outcome]:
        files = list(programs)
        self.measured.append((target, len(files), spec, fresh))
        return [
            self.failure
            or MeasuredLatency(
                file.program.sha256,
                file.program.sha256,
                estimate(10**7),
                8,
                0,
                1.0,
                footprint=footprint_of(VISITS, file.program.size_bytes),
            )
            for file in files
        ]

    def breakdown(self, measurement_id: str) -> Breakdown:
        visits = tuple(VISITS)
        measurement = Measurement(measurement_id, TARGET.id, "", BenchmarkSpec(), 0, visits)
        return breakdown_of(PROGRAM, measurement)

    def devices(self) -> list[DeviceStatus]:
        return []

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        return [estimate(10**6 * (1 + len(kernels))) for kernels in networks]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab()

    @contextmanager
    def session(
        target: str | None, deployment: Deployment = DEFAULT_DEPLOYMENT
    ) -> Iterator[Session]:
        client, pool = cast(LatencyClient, lab), cast(ExportPool, lab)
        opened = TargetLab(client, TARGET, pool, deployment=deployment)
        yield Session(client, TARGET, opened, pool, deployment)

    listing = Listing(PROGRAM.inputs, KERNELS, (), 1)
    monkeypatch.setattr(reader, "read_program", lambda data: listing)
    monkeypatch.setattr(command, "session", session)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    Path("net.py").touch()
    Path("model.pte").write_bytes(b"x")
    return lab


def run(command: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed to stdout and stderr."""
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code != 70, result.stderr
    return result.exit_code, result.stdout, result.stderr


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_a_narrow_screen_keeps_the_table_and_leaves_sources_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {}
    for columns in ("60", "80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        shown[columns] = run("profile net.py:Net --input 1x8")[1]
    headers = {
        columns: next(line for line in text.splitlines() if "kernel" in line and "share" in line)
        for columns, text in shown.items()
    }
    assert [("module" in each, "line" in each) for each in headers.values()] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert "A screen of" not in shown["120"]
    assert "A screen of 100 columns shows modules and lines" in " ".join(shown["80"].split())


def test_kernels_are_shown_in_execution_order_with_a_rest_and_the_latency(lab: Lab) -> None:
    code, shown, _ = run("profile net.py:Net --input 1x8")
    assert code == 0
    rows = [cells(line) for line in shown.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "", ""]
    assert rows[0][1] == "conv2d 3x3 3->16 at 8x8"
    assert rows[0][-2:] == ["block.0", "net.py:10"]
    assert [row[4] for row in rows[:4]] == ["delegate"] * 3 + ["portable"]
    assert rows[-2][1] == "rest: outside all kernels"
    assert rows[-1][1:4] == ["latency", "10.0 ms", "100.0%"]
    shares = [float(row[3].rstrip("%")) for row in rows]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.5)
    assert "Tracing adds" in shown
    assert "Program size 0.00 MB" in shown
    assert lab.measured == [(TARGET.id, 1, BenchmarkSpec.paired(8), False)]


def test_a_network_is_measured_with_as_many_pairs_as_asked_for(lab: Lab) -> None:
    assert run("profile mnasnet-a1 --pairs 20 --fresh")[0] == 0
    assert lab.measured == [(TARGET.id, 1, BenchmarkSpec.paired(20), True)]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--by module", ["block.0", "block.2", "block.3", "block.1"]),
        ("--by kind", ["conv2d", "add", "portable:erf", "clamp"]),
        ("--by line", ["net.py:10", "net.py:12", "net.py:13", "net.py:11"]),
    ],
)
def test_kernels_are_grouped(lab: Lab, options: str, names: list[str]) -> None:
    _, shown, _ = run(f"profile net.py:Net {options}")
    rows = [cells(line) for line in shown.splitlines() if line.startswith("│")]
    assert [row[1] for row in rows[:4]] == names


def test_sources_are_left_out_on_request_and_a_foreign_program_has_none(lab: Lab) -> None:
    for typed in ("profile net.py:Net --no-source", "profile model.pte"):
        _, shown, _ = run(typed)
        assert "conv2d 3x3" in shown
        assert "block.0" not in shown
        assert "module" not in shown
    document = json.loads(run("profile net.py:Net --no-source --json")[1])
    assert [row["source"] for row in document["rows"]] == [None] * 4


def test_the_slowest_kernels_are_shown_unless_all_are_asked_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.cli.profile.tables.SLOWEST", 2)
    for by in ("", "--by kind"):
        short, whole = (run(f"profile net.py:Net {by} {every}")[1] for every in ("", "--all"))
        assert "2 others (--all shows them)" in short
        assert "others (--all" not in whole


def test_a_profile_as_json_holds_all_that_is_known(lab: Lab) -> None:
    code, shown, _ = run("profile net.py:Net --json")
    assert code == 0
    document = json.loads(shown)
    assert document["latency"]["time_ns"] == 10**7
    assert document["rows"][3]["place"] == "portable"
    assert document["rest"]["time_ns"] == pytest.approx(0.04 * 10**7, abs=10**5)
    assert document["footprint"]["size_bytes"] == 1


def test_a_profile_without_findings_says_so(lab: Lab) -> None:
    assert "Findings: none." in run("profile net.py:Net")[1]
    assert json.loads(run("profile net.py:Net --json")[1])["findings"] == []


def test_a_prediction_measures_nothing(lab: Lab) -> None:
    code, shown, _ = run("profile net.py:Net --predict")
    assert code == 0
    assert lab.measured == []
    assert "net.py:Net would take 5.00 ms" in shown
    assert "rest: fixed time of a run" in shown
    for option in ("--fresh", "--pairs 9", "--priority 3"):
        code, _, error = run(f"profile net.py:Net --predict {option}")
        assert code == 2
        assert f"{option.split()[0]} has no effect beside --predict" in error


@pytest.mark.parametrize(
    ("options", "labels", "programs"),
    [
        ("--against mnasnet-a1", ["net.py:Net", "mnasnet-a1"], [2]),
        ("--against-precision int8", ["fp32", "int8"], [2]),
        (f"--against-target {OTHER_TARGET.name}", [TARGET.name, OTHER_TARGET.name], [1, 1]),
    ],
)
def test_two_profiles_are_shown_side_by_side(
    lab: Lab, options: str, labels: list[str], programs: list[int]
) -> None:
    code, shown, _ = run(f"profile net.py:Net {options}")
    assert code == 0
    [header] = [line for line in shown.splitlines() if "90 % interval" in line and "┃" in line]
    assert all(label in header for label in labels)
    assert [count for _, count, _, _ in lab.measured] == programs
    assert "+0.00 ms" in shown
    for grouping in ("module", "kind"):
        assert run(f"profile net.py:Net {options} --by {grouping}")[0] == 0
    document = json.loads(run(f"profile net.py:Net {options} --json")[1])
    assert [each["first"] for each in document["differences"]] == [
        each["second"] for each in document["differences"]
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("net.py:Net --against net.py:Net", "both sides are net.py:Net"),
        ("net.py:Net --against-target nowhere", "there is no target nowhere"),
        ("model.pte --against-precision int8", "--against-precision has no effect on model.pte"),
        ("net.py:Net --by line --no-source", "--no-source leaves out what --by line groups by"),
        ("net.py:Net --json --all", "--all has no effect beside --json"),
        ("nothing", "there is no network 'nothing'"),
    ],
)
def test_what_cannot_be_profiled_is_said_in_one_line(lab: Lab, options: str, error: str) -> None:
    code, shown, errors = run(f"profile {options}")
    assert (code, shown) == (2, "")
    assert error in errors
    assert lab.measured == []


@pytest.mark.parametrize(
    ("kind", "code"), [(FailureKind.OUT_OF_MEMORY, 2), (FailureKind.DISTURBED, 1)]
)
def test_a_network_that_cannot_be_measured_says_why(lab: Lab, kind: FailureKind, code: int) -> None:
    lab.failure = Failure(kind, "the reason")
    ended, shown, error = run("profile net.py:Net")
    assert ended == code
    assert "the reason" in (error if code == 2 else shown)


def test_files_are_written_and_named(lab: Lab) -> None:
    command = "profile net.py:Net --html a.html --perfetto b.json --model-explorer c.json"
    code, shown, _ = run(command)
    assert code == 0
    for name in ("a.html", "b.json", "c.json", "c.graph.json"):
        assert f"{name} is written" in shown
        assert Path(name).stat().st_size > 0
    assert "block.0" in Path("a.html").read_text(encoding="utf-8")
    _, shown, errors = run("profile net.py:Net --json --no-source --html d.html")
    assert json.loads(shown)
    assert "d.html is written" in errors
    assert "block.0" not in Path("d.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--html none/a.html", "there is no folder none for a.html"),
        ("--html a --perfetto a", "two files would be written to a"),
        ("--html a --against mnasnet-a1", "--html is for one network"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_is_measured(
    lab: Lab, options: str, error: str
) -> None:
    code, _, errors = run(f"profile net.py:Net {options}")
    assert code == 2
    assert error in errors
    assert lab.measured == []
