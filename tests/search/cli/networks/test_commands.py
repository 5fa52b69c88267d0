"""`latlab measure`, `predict` and `compare` of any network, beside a lab that answers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import Device, DevicePhase, DeviceState, DeviceStatus
from latlab.domain.errors import ExportError, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, RawSamples, Source
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Measurement
from latlab.domain.precision import Precision
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.domain.target import Target, TargetStatus
from latlab.export import ExportPool, ExportSpec
from latlab.export.user_network import UserNetwork
from latlab.programs import reader
from latlab.programs.reader import Listing
from search.cli import app
from search.cli.networks import commands, compare, measure
from search.cli.session import Session
from search.latency.target_lab import TargetLab
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.kernels import kernels
from search.space.zoo import ZOO
from tests.host.fake_lab import DEVICE, TARGET
from tests.search.fakes import estimate

OWN = Kernel("conv2d", ((1, 3, 8, 8),), (1, 8, 8, 8))
FOREIGN = (OWN, Kernel("portable:native_layer_norm", ((1, 8),), (1, 8)))


@dataclass
class Lab:
    """A pool and a client. `exports` are the outcomes of users' modules, by their references."""

    exports: dict[str, tuple[Kernel, ...] | str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    note: str = ""
    device: Device = DEVICE
    predicted: list[tuple[Kernel, ...]] = field(default_factory=list)
    unknown_kinds: tuple[str, ...] = ()
    measured: list[str] = field(default_factory=list)
    precisions: set[Precision] = field(default_factory=set)

    def export_each(
        self, specs: Iterable[ExportSpec]
    ) -> Iterator[tuple[ExportSpec, ProgramFile | ExportError]]:
        for spec in specs:
            self.precisions.add(spec.precision)
            network = getattr(spec.make, "__self__", None)
            name = network.reference if isinstance(network, UserNetwork) else "of the zoo"
            outcome = self.exports.get(name, (OWN,))
            if isinstance(outcome, str):
                yield spec, ExportError(outcome)
            else:
                program = Program(name, 1, "xnnpack", (), outcome, (), f"stock{self.note}")
                yield spec, ProgramFile(program, Path())

    def memory_bytes(self, target: str) -> None:
        return None

    def shares_host(self, target: Target) -> bool:
        return True

    def target_status(self, target: Target) -> TargetStatus:
        return TargetStatus(target, 1, 0, 0, True)

    def devices(self) -> list[DeviceStatus]:
        idle = DeviceState(DevicePhase.IDLE)
        return [DeviceStatus(self.device, "local", idle, (TARGET.name,), 0)]

    def measure(
        self, target: str, programs: Iterable[ProgramFile], spec: object, **_: object
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for file in programs:
            name = file.program.sha256
            self.measured.append(name)
            raw = RawSamples(11_000_000, 12_000_000, 13_000_000, 500, 5, 1)
            latency = replace(estimate(10**7), raw=raw)
            measured = MeasuredLatency(f"of {name[:12]}", name, latency, 5, 1, 1.0)
            outcomes.append(self.failures.get(name, measured))
        return outcomes

    def measurement(self, measurement_id: str) -> Measurement:
        return Measurement(measurement_id, TARGET.id, "", BenchmarkSpec(), 0, ())

    def predict(
        self,
        target: str,
        networks: Sequence[tuple[Kernel, ...]],
        *,
        min_measurements: int,
        strict: bool,
    ) -> list[LatencyEstimate]:
        if strict and self.unknown_kinds:
            raise UnknownKernelKinds(self.unknown_kinds)
        self.predicted += networks
        known = estimate(10**7)
        guessed = replace(known, source=Source.BOUND, unknown_kinds=self.unknown_kinds)
        return [guessed if network == FOREIGN else known for network in networks]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab()

    @contextmanager
    def session(
        target: str | None,
        spec: object = None,
        priority: int = 0,
        deployment: Deployment = DEFAULT_DEPLOYMENT,
    ) -> Iterator[Session]:
        client = cast(LatencyClient, lab)
        opened = TargetLab(client, TARGET, cast(ExportPool, lab), deployment=deployment)
        yield Session(client, TARGET, opened, cast(ExportPool, lab), deployment)

    listing = Listing((TensorSpec((1, 8)),), FOREIGN, ("native_layer_norm",), 1)
    monkeypatch.setattr(reader, "read_program", lambda data: listing)
    for module in (commands, compare, measure):
        monkeypatch.setattr(module, "session", session)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    Path("net.py").touch()
    Path("model.pte").write_bytes(b"x")
    return lab


def run(command: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed to stdout and stderr."""
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code != 70, result.stderr
    return result.exit_code, " ".join(result.stdout.split()), " ".join(result.stderr.split())


def test_networks_of_all_kinds_are_measured_together(lab: Lab) -> None:
    code, shown, _ = run("measure mnasnet-a1 net.py:Net model.pte --input 1x8 --precision int8")
    assert code == 0
    assert len(lab.measured) == 3
    assert lab.precisions == {Precision.INT8}
    rows = [name for name in ("mnasnet-a1", "net.py:Net", "model.pte") if f"│ {name} │" in shown]
    assert len(rows) == 3
    assert shown.count("11.0, 12.0, 13.0 ms │ 5 of 6") == 3
    assert "model.pte: XNNPACK does not run native_layer_norm" in shown
    assert "net.py:Net: XNNPACK" not in shown


def test_networks_of_all_kinds_are_predicted_together(lab: Lab) -> None:
    code, shown, _ = run("predict mnasnet-a1 net.py:Net model.pte net.py:Net")
    assert code == 0
    assert lab.predicted == [kernels(ZOO["mnasnet-a1"]), (OWN,), FOREIGN, (OWN,)]
    assert "model.pte: XNNPACK does not run native_layer_norm" in shown


def test_a_guess_names_the_kinds_and_what_measures_them_and_strict_refuses_it(lab: Lab) -> None:
    lab.unknown_kinds = ("portable:aten.erf.out",)
    code, shown, _ = run("predict mnasnet-a1 model.pte")
    assert code == 0
    assert "bound" in shown
    text = " ".join(shown.split())
    assert "model.pte: never measured on this target, so guessed: portable:aten.erf.out" in text
    assert "latlab calibrate --for model.pte" in text
    code, _, error = run("predict mnasnet-a1 model.pte --strict")
    assert code == 2
    assert "portable:aten.erf.out" in error
    assert "latlab calibrate --for NETWORK" in error


def test_networks_are_predicted_in_the_precision_asked_for(lab: Lab) -> None:
    assert run("predict mnasnet-a1 net.py:Net --precision int8")[0] == 0
    deployment = Deployment(precision=Precision.INT8)
    assert lab.predicted == [kernels(ZOO["mnasnet-a1"], deployment), (OWN,)]
    assert lab.precisions == {Precision.INT8}


def test_a_program_is_compared_with_a_module(lab: Lab) -> None:
    lab.failures["net.py:Net"] = Failure(FailureKind.DEVICE_LOST, "it went away")
    code, shown, _ = run("compare model.pte net.py:Net")
    assert (code, shown) == (1, "device_lost: it went away")
    assert len(lab.measured) == 2


def test_a_module_that_cannot_be_exported_is_a_row_beside_others(lab: Lab) -> None:
    lab.exports["net.py:Net"] = "net.py:3 sorts"
    code, shown, _ = run("measure mnasnet-a1 net.py:Net")
    assert code == 1
    assert "│ net.py:Net │ unsupported │ net.py:3 sorts │" in shown


@pytest.mark.parametrize(
    "command",
    ["measure net.py:Net", "predict mnasnet-a1 net.py:Net", "compare net.py:Net model.pte"],
)
def test_where_nothing_can_be_answered_one_line_says_why(lab: Lab, command: str) -> None:
    lab.exports["net.py:Net"] = "net.py:3 sorts"
    code, shown, errors = run(command)
    assert (code, shown) == (2, "")
    assert "net.py:3 sorts" in errors
    assert lab.measured == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FailureKind.UNSUPPORTED, 2),
        (FailureKind.OUT_OF_MEMORY, 2),
        (FailureKind.DEVICE_LOST, 1),
        (FailureKind.DISTURBED, 1),
    ],
)
def test_what_a_device_refuses_is_the_network_s_fault(
    lab: Lab, kind: FailureKind, code: int
) -> None:
    lab.failures["net.py:Net"] = Failure(kind, "the reason")
    ended, shown, errors = run("measure net.py:Net")
    assert ended == code
    assert "the reason" in (errors if code == 2 else shown)


def test_what_int8_leaves_in_float_and_how_it_was_calibrated_is_said(lab: Lab) -> None:
    lab.note = " executorch 1.5, calibrated on 4 random inputs"
    quantized = replace(OWN, dtype="qint8")
    lab.exports["net.py:Net"] = (quantized, replace(OWN, kind="hardswish"), quantized)
    for command in ("measure", "predict"):
        _, shown, _ = run(f"{command} net.py:Net --precision int8")
        assert "net.py:Net: calibrated on 4 random inputs" in shown
        assert "net.py:Net: XNNPACK leaves hardswish in floating point" in shown


@pytest.mark.parametrize("fast", [True, False, None])
def test_a_target_without_fast_float16_says_so(lab: Lab, fast: bool | None) -> None:
    lab.device = replace(DEVICE, fast_fp16=fast)
    lab.exports["net.py:Net"] = (replace(OWN, dtype="float16"),)
    for command in ("measure", "predict"):
        _, shown, _ = run(f"{command} net.py:Net --precision fp16")
        assert ("has no fast float16" in shown) == (fast is False)
