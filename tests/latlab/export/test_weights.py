"""A program holds its module's weights, however they lie in memory or come about."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from latlab.domain.errors import ExportError
from latlab.export import export_program
from latlab.export.execution.running import results
from latlab.export.lowering.preparation import prepare
from tests.latlab.export.export_faults import changes, module_state
from tests.latlab.export.strange_changes import LAYOUTS
from tests.latlab.export.strange_modules import Case, Layer

SHAPE = (1, 3, 8, 8)


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    """Weights drawn anew can make every output of a small module 0, which has no relative error."""
    torch.manual_seed(0)


def error_of(module: nn.Module, shape: tuple[int, ...], data: bytes) -> float:
    """The largest error as a share of the largest output."""
    half = next(module.parameters()).dtype == torch.float16
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    x = x.half() if half else x
    with torch.no_grad():
        expected = module.eval()(x.clone())
    (actual,) = results(data, x)
    assert actual.dtype == expected.dtype
    return float((actual.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_that_lie_oddly_in_memory_are_lowered_directly(layout: str) -> None:
    layers = tuple(Layer(kind, layout=layout) for kind in ("conv", "norm", "gate", "linear-head"))
    case = Case(SHAPE, layers)
    program, data = export_program(case.build(), SHAPE)
    assert program.exporter.startswith("direct ")
    assert error_of(case.build(), SHAPE, data) <= 1e-5


def test_views_of_one_storage_stay_different_weights() -> None:
    values = torch.randn(3, 4, 4)
    network = nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in values])
    for layer, value in zip(network, values, strict=True):
        layer.weight = nn.Parameter(value)
    program, data = export_program(network, (1, 4))
    assert program.exporter.startswith("direct ")
    assert error_of(network, (1, 4), data) <= 1e-5
    assert all(value.contiguous().numpy().tobytes() in data for value in values)


def test_a_shared_weight_is_written_once_and_folding_one_layer_leaves_the_other() -> None:
    first, norm, second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
    nn.init.constant_(norm.weight, 3.0)
    second.weight = first.weight
    network = nn.Sequential(first, norm, second)
    _, data = export_program(network, SHAPE)
    assert error_of(network, SHAPE, data) <= 1e-5
    one, other = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    other.weight = one.weight
    tied = nn.Sequential(one, nn.ReLU(), other)
    program, data = export_program(tied, (1, 4))
    assert program.exporter.startswith("direct ")
    assert error_of(tied, (1, 4), data) <= 1e-5
    assert data.count(one.weight.detach().numpy().tobytes()) == 1


class ReadsItsLayersWeight(nn.Module):
    """Folding the batch-norm into the convolution changes a weight that is read elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        nn.init.constant_(self.norm.weight, 3.0)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y + nn.functional.conv2d(x, self.conv.weight)


def test_a_weight_that_the_network_reads_itself() -> None:
    network = ReadsItsLayersWeight()
    _, data = export_program(network, SHAPE)
    assert error_of(network, SHAPE, data) <= 1e-5


def test_a_batch_norm_over_another_dimension_than_the_linear_layers_is_not_folded() -> None:
    norm = nn.BatchNorm1d(4)
    network = nn.Sequential(nn.Linear(4, 4), norm).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.arange(1.0, 5.0))
        x = torch.randn(2, 4, 4)
        assert torch.allclose(prepare(network, (2, 4, 4))(x), network(x), atol=1e-5)
    with pytest.raises(ExportError, match="does not compute what the network computes"):
        export_program(network, (2, 4, 4))  # ExecuTorch folds it all the same


# Weights that are computed at every call.


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2.0


def _pruned(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]


def _pruned_without_gradients(layer: nn.Module) -> None:
    with torch.no_grad():
        _pruned(layer)


def _pruned_twice(layer: nn.Module) -> None:
    _pruned(layer)
    prune.random_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "compute",
    [
        pytest.param(_pruned, id="pruned"),
        pytest.param(_pruned_without_gradients, id="pruned-without-gradients"),
        pytest.param(_pruned_twice, id="pruned-twice"),
        pytest.param(nn.utils.weight_norm, id="old-weight-norm"),
        pytest.param(nn.utils.spectral_norm, id="old-spectral-norm"),
        pytest.param(parametrizations.weight_norm, id="weight-norm"),
        pytest.param(parametrizations.spectral_norm, id="spectral-norm"),
        pytest.param(
            lambda layer: parametrize.register_parametrization(layer, "weight", Doubled()),
            id="parametrized",
        ),
    ],
)
def test_computed_weights_are_lowered_directly(compute: Callable[[nn.Module], object]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    with warnings.catch_warnings(action="ignore"):
        compute(network[0])
    network(torch.randn(2, *SHAPE[1:]))
    before = module_state(network)
    program, data = export_program(network, SHAPE)
    assert not changes("the module", before, module_state(network))
    assert program.exporter.startswith("direct ")
    assert error_of(network, SHAPE, data) <= 1e-5


def test_what_cannot_be_copied_is_refused_with_advice() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3))
    network.progress = (step for step in range(3))  # type: ignore[assignment]
    with pytest.raises(ExportError, match=r"cannot be copied.*cannot pickle 'generator'.*Remove"):
        export_program(network, SHAPE)


# Dtypes.


def test_half_modules_take_half_inputs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).half()
    program, data = export_program(network, SHAPE)
    assert {kernel.dtype for kernel in program.kernels} == {"float16"}
    assert error_of(network, SHAPE, data) <= 1e-2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_other_dtypes_are_refused_with_advice(dtype: torch.dtype) -> None:
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ExportError, match=rf"in float32.*are {name}: export module\.float\(\)"):
        export_program(nn.Sequential(nn.Conv2d(3, 8, 3)).to(dtype), SHAPE)


def test_weights_elsewhere_are_refused_with_advice() -> None:
    with pytest.raises(ExportError, match=r"lie on meta: 0\.weight, 0\.bias: they have no values"):
        export_program(nn.Sequential(nn.Conv2d(3, 8, 3, device="meta")), SHAPE)


def test_the_default_dtype_does_not_matter() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3))
    expected, _ = export_program(copy.deepcopy(network), SHAPE)
    torch.set_default_dtype(torch.float64)
    try:
        program, _ = export_program(network, SHAPE)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert program == expected
