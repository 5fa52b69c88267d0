"""An export leaves the module and the process as they were, in whatever thread it runs."""

from __future__ import annotations

import logging
import os
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, fx, nn
from torch.nn.modules.module import register_module_forward_hook

from latlab.domain.errors import ExportError
from latlab.export import export_program
from latlab.export.execution import running
from latlab.export.execution.checking import disagreement
from latlab.export.lowering import direct, stock
from tests.latlab.export.export_faults import changes, examine, process_state
from tests.latlab.export.strange_changes import CHANGES
from tests.latlab.export.strange_modules import ROOTS, Case, Layer, cases

SHAPE = (1, 3, 8, 8)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])
def test_threads_take_turns(activation: type[nn.Module]) -> None:
    def export(channels: int) -> str:
        network = nn.Sequential(nn.Conv2d(3, channels, 3), activation())
        return export_program(network, SHAPE)[0].exporter.split()[0]

    with ThreadPoolExecutor(4) as threads:
        ways = list(threads.map(export, range(1, 5)))
    assert ways == ["direct" if activation is nn.ReLU else "stock"] * 4
    assert export(5) == ways[0]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ELU()])
def test_modules_in_other_threads_compute_as_ever(activation: nn.Module) -> None:
    shared = nn.Linear(4, 4)
    other = nn.Sequential(shared, nn.Dropout(0.5), nn.Sequential(shared, nn.Mish())).eval()
    x = torch.randn(2, 4)
    expected = other(x)
    ended = threading.Event()

    def run() -> int:
        count = 0
        while not ended.is_set():
            assert torch.equal(other(x), expected)
            assert isinstance(other[2], nn.Sequential)
            count += 1
        return count

    with ThreadPoolExecutor(1) as thread:
        runs = thread.submit(run)
        try:
            for channels in (4, 5):
                network = nn.Sequential(nn.Conv2d(3, channels, 3), activation)
                export_program(network, SHAPE)
        finally:
            ended.set()
        assert runs.result() > 0


class Failing(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        raise self.error


class FailsWhileTraced(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, fx.Proxy) or torch.compiler.is_compiling():
            raise LookupError("not now")
        return torch.tanh(x)


@pytest.mark.parametrize(
    ("network", "error"),
    [
        (Failing(LookupError("no such key")), ExportError),
        (FailsWhileTraced(), ExportError),
        (Failing(KeyboardInterrupt()), KeyboardInterrupt),
        (Failing(MemoryError()), MemoryError),
        (object(), ExportError),
    ],
)
def test_an_export_that_fails_leaves_the_process_sound(
    network: nn.Module, error: type[BaseException]
) -> None:
    export_program(nn.Sequential(nn.Mish()), SHAPE)
    before = process_state()
    with pytest.raises(error):
        export_program(network, SHAPE)
    assert not changes("the process", before, process_state())
    for activation in (nn.ReLU(), nn.Mish()):
        export_program(nn.Sequential(nn.Conv2d(3, 4, 3), activation), SHAPE)


@pytest.mark.parametrize("way", [direct, stock])
def test_an_interrupt_in_the_middle(way: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU() if way is direct else nn.Mish())
    before = process_state()
    with monkeypatch.context() as patch:
        patch.setattr(way, "lower", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_program(network.train(), SHAPE)
    assert not changes("the process", before, process_state())
    assert all(part.training for part in network.modules())
    export_program(network, SHAPE)


def test_bad_shapes_are_refused() -> None:
    for shape in ((), (1, 3, 0, 4), (1, 3, 8.0, 8), (1, -3, 8, 8), ("8",)):
        with pytest.raises(ExportError, match="holds nothing"):
            export_program(nn.ReLU(), shape)  # type: ignore[arg-type]


def test_a_closure_that_reaches_the_original_runs_in_evaluation_mode() -> None:
    norm = nn.BatchNorm2d(4)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Dropout(0.5)).train()
    network(torch.randn(2, *SHAPE[1:]))
    forward: Callable[[Tensor], Tensor] = network.forward
    network.forward = lambda x: forward(x) * 2.0  # type: ignore[method-assign]
    statistics = {name: value.clone() for name, value in norm.state_dict().items()}
    _, data = export_program(network, SHAPE)
    assert all(part.training for part in network.modules())
    assert all(torch.equal(statistics[name], value) for name, value in norm.state_dict().items())
    x = torch.randn(SHAPE)
    with torch.no_grad():
        expected = network.eval()(x)
    assert disagreement(running.results(data, x), [expected], 1e-4) is None


def test_hooks_of_the_whole_process_count() -> None:
    def shifted(module: nn.Module, args: object, output: Tensor) -> Tensor | None:
        return output + 1.0 if isinstance(module, nn.Conv2d) else None

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    x = torch.randn(SHAPE)
    hook = register_module_forward_hook(shifted)  # type: ignore[arg-type]
    try:
        _, data = export_program(network, SHAPE)
        with torch.no_grad():
            expected = network(x)
    finally:
        hook.remove()
    assert disagreement(running.results(data, x), [expected], 1e-4) is None


def test_what_the_thread_has_set_does_not_matter() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    expected, _ = export_program(network, SHAPE)
    with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
        before = process_state()
        program, _ = export_program(network, SHAPE)
        export_program(nn.Sequential(nn.Mish()), SHAPE)
        assert not changes("the process", before, process_state())
    assert program == expected


def test_modules_made_in_inference_mode_or_wrapped_by_a_compiler() -> None:
    with torch.inference_mode():
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    compiled = nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3)), nn.ReLU())  # type: ignore[call-overload]
    for module in (network, compiled, torch.compile(network)):
        program, _ = export_program(module, SHAPE)  # type: ignore[arg-type]
        assert program.exporter.startswith("direct ")
    assert hasattr(compiled[0], "_orig_mod")


def test_other_threads_go_on_logging(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = logging.getLogger("other")

    class Reporting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logging.getLogger("own").warning("chatter")
            thread = threading.Thread(target=log.info, args=("another thread",))
            thread.start()
            thread.join()
            return torch.relu(x)

    export_program(Reporting(), SHAPE)
    assert {record.name for record in caplog.records} == {"other"}
    log.info("afterwards")
    assert caplog.records[-1].getMessage() == "afterwards"


def test_the_environment_is_kept() -> None:
    before = dict(os.environ)
    export_program(nn.Sequential(nn.Mish()), SHAPE)
    assert dict(os.environ) == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_layer_is_exported_right_or_refused(change: str) -> None:
    layers = (Layer("conv", (0, 3, 2, 2, 3, 0, 1, 0), change=change), Layer("relu"))
    finding = examine(Case(SHAPE, layers, training="all"))
    assert not finding.faults
    assert not finding.error or change in ("noise", "remembers", "shadow", "always-training")


@pytest.mark.parametrize("root", ROOTS)
def test_a_changed_root_is_exported_right(root: str) -> None:
    finding = examine(Case(SHAPE, (Layer("conv"), Layer("relu")), root=root, training="first"))
    assert finding == type(finding)(finding.way, "", ())


@settings(
    max_examples=10, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(cases(stock_one_in=1000))
def test_strange_modules(case: Case) -> None:
    assert not examine(case).faults
