"""Every program is compared with its module before it is handed out."""

from __future__ import annotations

import logging
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from latlab.domain.errors import ExportError
from latlab.export import export_program
from latlab.export.execution import running
from latlab.export.execution.checking import Reference, disagreement
from latlab.export.execution.example import Inputs, example_of
from latlab.export.lowering import direct, stock
from latlab.export.lowering.lowered_program import LoweredProgram

SHAPE = (1, 3, 8, 8)


def _network(channels: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.ReLU())


def _other_weights(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.01)
    return network


def test_a_wrong_program_of_direct_lowering_is_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lower = direct.lower
    monkeypatch.setattr(direct, "lower", lambda network: lower(_other_weights(network)))
    program, data = export_program(_network(), SHAPE)
    assert program.exporter.startswith("stock ")
    x = torch.randn(SHAPE)
    assert disagreement(running.results(data, x), [_network()(x).detach()], 1e-4) is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert (
        "does not compute what the network computes: output 0 differs by 0.01"
        in record.getMessage()
    )


def test_a_failure_inside_direct_lowering_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(direct, "xnnpack_graph", lambda edge: edge.no_such_attribute)
    program, _ = export_program(_network(), SHAPE)
    assert program.exporter.startswith("stock ")
    assert "direct lowering failed: AttributeError" in caplog.text


def test_a_wrong_program_of_stock_lowering_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = stock.lower

    def wrong(network: nn.Module, inputs: Inputs) -> LoweredProgram:
        return lower(_other_weights(network), inputs)

    monkeypatch.setattr(stock, "lower", wrong)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Mish())
    with pytest.raises(ExportError, match=r"does not compute.*output 0 differs by 0\.0"):
        export_program(network, SHAPE)


class Cancelling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + 1e4) - 1e4  # loses about 1e-4 of x in float32


def test_a_network_that_amplifies_rounding_is_not_refused() -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    assert disagreement([x], [Cancelling()(x)], 1e-4) is not None
    reference = Reference(Cancelling(), Cancelling, example_of(Cancelling(), x))
    assert reference.disagreement(lambda example: [example.args[0]]) is None
    wrong = reference.disagreement(lambda example: [1.01 * example.args[0]])
    assert "differs by 0.01" in str(wrong)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x) + random.random()


class Remembering(nn.Module):
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.mean += x.mean() + 1.0
        return x - self.mean


@pytest.mark.parametrize("kind", [Noise, Remembering])
def test_a_network_that_computes_something_else_at_every_call(kind: type[nn.Module]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), kind())
    states = torch.get_rng_state(), random.getstate()
    with pytest.raises(ExportError, match="something else at every call in evaluation mode"):
        export_program(network, SHAPE)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


class Misled(nn.Module):
    """Tracing goes another way than calling."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) if isinstance(x, fx.Proxy) else torch.sigmoid(x)


def test_a_trace_that_went_another_way_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    program, data = export_program(Misled(), SHAPE)
    assert program.exporter.startswith("stock ")
    assert "does not compute what the network computes" in caplog.text
    x = torch.randn(SHAPE)
    assert disagreement(running.results(data, x), [torch.sigmoid(x)], 1e-4) is None


@pytest.mark.parametrize("last", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh()])
def test_two_activations_after_each_other_both_count(last: nn.Module) -> None:
    """ExecuTorch's fusion forgets the first, which shows for large values only."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(), last)
    _, data = export_program(network, SHAPE)
    x = 50 * torch.randn(SHAPE)
    with torch.no_grad():
        expected = network(x)
    assert expected.max() <= 6
    assert disagreement(running.results(data, x), [expected], 1e-5) is None


@pytest.mark.parametrize(("norm", "shape"), [(nn.BatchNorm2d, SHAPE), (nn.BatchNorm1d, (2, 3))])
def test_batch_norms_after_each_other_are_lowered(
    norm: type[nn.BatchNorm1d | nn.BatchNorm2d], shape: tuple[int, ...]
) -> None:
    """ExecuTorch's own decomposition fails on the second."""
    network = nn.Sequential(norm(3), norm(3), nn.ReLU(), norm(3)).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            layer.running_mean.normal_()
    _, data = export_program(network, shape)
    x = torch.randn(shape)
    with torch.no_grad():
        expected = network(x)
    assert disagreement(running.results(data, x), [expected], 1e-5) is None


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(nn.functional.relu(x, inplace=True))


def test_a_network_that_changes_its_input_has_one_output() -> None:
    _, data = export_program(InPlace(), SHAPE)
    x = torch.randn(SHAPE)
    assert disagreement(running.results(data, x), [torch.tanh(torch.relu(x))], 1e-5) is None


@pytest.mark.parametrize(("size", "stride"), [(1, 2), (1, 3), (2, 3)])
def test_a_stride_over_the_whole_input(size: int, stride: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride, padding=1), nn.MaxPool2d(3, 3, 1))
    program, data = export_program(network, (1, 3, size, size))
    assert program.exporter.startswith("direct ")
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        assert disagreement(running.results(data, x), [network(x)], 1e-5) is None


# The comparison itself.

numbers = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
values = st.lists(numbers | st.sampled_from([0.0, float("inf"), -float("inf"), float("nan")]))


@given(values)
def test_outputs_agree_with_themselves(values: list[float]) -> None:
    assert disagreement([torch.tensor(values)], [torch.tensor(values)], 0.0) is None


def test_values_too_small_for_float32_may_be_flushed_to_zero() -> None:
    assert disagreement([torch.zeros(1)], [torch.tensor([2e-42])], 1e-4) is None
    assert disagreement([torch.zeros(1)], [torch.tensor([2e-38])], 1e-4) is not None


@given(st.lists(numbers, min_size=1), st.data())
def test_an_error_counts_by_the_largest_value(values: list[float], data: st.DataObject) -> None:
    expected = torch.tensor(values, dtype=torch.float64)
    largest = float(expected.abs().max()) or 1.0
    index = data.draw(st.integers(0, len(values) - 1))
    for share, agrees in ((0.9e-4, True), (1.1e-4, False)):
        actual = expected.clone()
        actual[index] += share * largest
        assert (disagreement([actual], [expected], 1e-4) is None) == agrees


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        ([torch.ones(2)], [torch.ones(2), 3], "it has 1 outputs, not 2"),
        ([torch.ones(2)], [torch.ones(1, 2)], r"output 0 is \(2,\) in float32, not \(1, 2\)"),
        ([torch.ones(2)], [torch.ones(2).half()], "in float32, not .* in float16"),
        ([torch.tensor([0.0, 1.0])], [torch.tensor([float("nan"), 1.0])], "NaN or infinite"),
        (
            [torch.tensor([float("inf")])],
            [torch.tensor([-float("inf")])],
            "NaN or infinite in other places",
        ),
        ([torch.zeros(2) + 2e-4], [torch.zeros(2)], "differs by 0.0002"),
        ([torch.tensor([1, 2])], [torch.tensor([1, 3])], r"differs in 50\.0% of its values"),
        ([torch.ones(1), 4], [torch.ones(1), 3], "output 1 is 4, not 3"),
    ],
)
def test_disagreements_are_described(
    actual: list[object], expected: list[object], message: str
) -> None:
    import re

    found = disagreement(actual, expected, 1e-4)
    assert found is not None
    assert re.search(message, found)
