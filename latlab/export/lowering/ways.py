"""Lower a module directly or by stock lowering, and check the program against the module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel, Shape
from latlab.export.execution.checking import (
    INT8_TOLERANCE,
    Reference,
    computed_disagreement,
    dtype_name,
    outputs_of,
    random_input,
)
from latlab.export.execution.isolation import isolated, running_code_of
from latlab.export.execution.running import results
from latlab.export.lowering import direct, int8, stock
from latlab.export.lowering.edge_graph import Unsupported
from latlab.export.lowering.plain_layers import make_plain
from latlab.export.lowering.preparation import check, evaluation_copy, input_dtype, traced


@dataclass(frozen=True)
class Lowered:
    """A lowered program.

    Attributes:
        way: How it was lowered: "direct", "stock" or "int8".
        data: The program's bytes.
        kernels: The kernels in execution order.
        undelegated: The operators outside the delegate.
        dtype: The input's dtype.
        doubts: Why direct lowering was not used although the network seemed to allow it.
    """

    way: str
    data: bytes
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    dtype: str
    doubts: tuple[str, ...] = ()


def lower(module: nn.Module, input_shape: Shape, directly: bool) -> Lowered:
    """Lower a module directly if that is possible and allowed, else by stock lowering.

    Args:
        module: The caller's module.
        input_shape: Shape of its input.
        directly: Direct lowering is allowed.

    Raises:
        ExportError: No way makes a program that computes what the module computes.
    """
    with isolated():
        source = _Source(module, input_shape)
        doubts: list[str] = []
        if directly and source.traced is not None:
            lowered = _directly(source, source.traced, doubts)
            if lowered is not None:
                return lowered
        source.reference.require_repeatable()
        return _by_stock(source, tuple(doubts))


def lower_int8(module: nn.Module, input_shape: Shape, calibration: Sequence[Tensor]) -> Lowered:
    """Lower a module with its weights and activations quantized to int8.

    Raises:
        ExportError: It cannot be lowered, or the program's outputs differ from the quantized
            module's by more than INT8_TOLERANCE.
    """
    with isolated():
        source = _Source(module, input_shape)
        source.reference.require_repeatable()
        network, x = _right_network(source), calibration[0]
        with running_code_of(module):
            quantized = int8.quantize(network, calibration)
            expected = outputs_of(quantized, x)
            data, kernels, undelegated = stock.lower(quantized, tuple(x.shape), x.dtype)
        difference = computed_disagreement(partial(results, data), x, expected, INT8_TOLERANCE)
        if difference is not None:
            raise ExportError(
                f"the int8 program does not compute what its quantized module does: {difference}"
            )
        return Lowered("int8", data, kernels, undelegated, dtype_name(x.dtype))


def _right_network(source: _Source) -> nn.Module:
    """Return the first of the source's networks that computes what its module computes."""
    differences: list[str] = []
    for network in source.networks():
        with running_code_of(source.module):
            difference = source.reference.disagreement(partial(outputs_of, network))
        if difference is None:
            return network
        differences.append(difference)
    raise ExportError(f"no copy of the network computes what the network does: {differences[-1]}")


class _Source:
    """The caller's module, an input, and the module's outputs for it."""

    def __init__(self, module: nn.Module, input_shape: Shape) -> None:
        check(module, input_shape)
        self.module = module
        self.shape = tuple(input_shape)
        self.x = random_input(input_shape, input_dtype(module))
        self.reference = Reference(module, self.copy, self.x)
        copy = self.copy() if self.reference.is_stateful else self.reference.copy
        with running_code_of(module):
            self.traced: fx.GraphModule | None = traced(copy, self.x)

    def copy(self) -> nn.Module:
        return evaluation_copy(self.module)

    def networks(self) -> Iterator[nn.Module]:
        """Yield the networks that stock lowering may start from, the faster one first."""
        if self.traced is not None:
            yield self._with_its_input_kept(self.traced)
        copy = self.copy()
        make_plain(copy)
        yield self._with_its_input_kept(copy)

    def _with_its_input_kept(self, network: nn.Module) -> nn.Module:
        return _OnACopy(network) if self.reference.changes_its_input else network


class _OnACopy(nn.Module):
    """Calls a network that changes its input on a copy: ExecuTorch would return the input too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = False

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 -- what the network returns
        return self.network(x.clone())


def _directly(source: _Source, network: fx.GraphModule, doubts: list[str]) -> Lowered | None:
    """Return the direct program, or None if only stock lowering can make a correct one.

    If the network seemed to allow direct lowering, the reason is added to `doubts`.
    """
    try:
        data, kernels = direct.lower(network)
    except Unsupported:
        return None
    except MemoryError:
        raise
    except Exception as error:
        doubts.append(f"direct lowering failed: {type(error).__name__}: {error}")
        return None
    difference = source.reference.disagreement(partial(results, data))
    if difference is not None:
        source.traced = None  # the traced network may be the cause
        doubts.append(f"direct lowering made a program that is not its network: {difference}")
        return None
    return Lowered("direct", data, kernels, (), dtype_name(source.x.dtype))


def _by_stock(source: _Source, doubts: tuple[str, ...]) -> Lowered:
    problem: ExportError | None = None
    for network in source.networks():
        try:
            with running_code_of(source.module):
                data, kernels, undelegated = stock.lower(network, source.shape, source.x.dtype)
        except MemoryError:
            raise
        except Exception as error:
            problem = ExportError(f"ExecuTorch cannot lower this network: {error}")
            problem.__cause__ = error
            continue
        difference = source.reference.disagreement(partial(results, data))
        if difference is None:
            dtype = dtype_name(source.x.dtype)
            return Lowered("stock", data, kernels, undelegated, dtype, doubts)
        problem = ExportError(
            "the program that ExecuTorch's own lowering makes does not compute what the "
            f"network computes: {difference}"
        )
    assert problem is not None
    raise problem
