"""Lower a module directly or by stock lowering, and check the program against the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel
from latlab.domain.precision import Precision
from latlab.domain.program import TensorSpec
from latlab.export.execution.checking import (
    INT8_TOLERANCE,
    Reference,
    computed_disagreement,
    outputs_of,
)
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.execution.isolation import isolated, running_code_of
from latlab.export.execution.running import results
from latlab.export.lowering import direct, int8, stock
from latlab.export.lowering.edge.graph import Unsupported
from latlab.export.lowering.edge.plain_layers import make_plain
from latlab.export.lowering.edge.tracing import traced
from latlab.export.lowering.preparation import check, evaluation_copy

RANDOM_CALIBRATIONS = 4  # inputs that an int8 program is calibrated with if none are given


@dataclass(frozen=True)
class Lowered:
    """A lowered program.

    Attributes:
        way: How it was lowered: "direct", "stock" or "int8".
        data: The program's bytes.
        kernels: The kernels in execution order.
        undelegated: The operators outside the delegate.
        inputs: What a runner fills the inputs with.
        note: What else there is to say about the way.
        doubts: Why direct lowering was not used although the network seemed to allow it.
    """

    way: str
    data: bytes
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    note: str = ""
    doubts: tuple[str, ...] = ()


def lower(
    module: nn.Module,
    inputs: Inputs,
    precision: Precision,
    calibration: Sequence[Inputs],
    directly: bool,
) -> Lowered:
    """Lower a module directly if that is possible and allowed, else by stock lowering.

    Args:
        module: The caller's module.
        inputs: Its inputs.
        precision: What the program computes with.
        calibration: For INT8, the inputs whose ranges are spanned; empty for random ones.
        directly: Direct lowering is allowed.

    Raises:
        ExportError: No way makes a program that computes what the module computes.
    """
    with isolated():
        source = _Source(module, inputs, precision)
        if precision is Precision.INT8:
            return _as_int8(source, calibration)
        doubts: list[str] = []
        if directly and source.traced is not None:
            lowered = _directly(source, source.traced, doubts)
            if lowered is not None:
                return lowered
        source.reference.require_repeatable()
        return _by_stock(source, tuple(doubts))


def _as_int8(source: _Source, calibration: Sequence[Inputs]) -> Lowered:
    source.reference.require_repeatable()
    network, example = _right_network(source), source.example
    ranges = _calibration(source, calibration)
    with running_code_of(source.module):
        quantized = int8.quantize(network, ranges)
        expected = outputs_of(quantized, example.copy())
        data, kernels, undelegated = stock.lower(quantized, example)
    difference = computed_disagreement(_runs(data), example, expected, INT8_TOLERANCE)
    if difference is not None:
        raise ExportError(
            f"the int8 program does not compute what its quantized module does: {difference}"
        )
    kind = "random" if any(each.is_random for each in ranges) else "given"
    note = f", calibrated on {len(ranges)} {kind} input{'s' * (len(ranges) > 1)}"
    return Lowered("int8", data, kernels, undelegated, example.specs(), note=note)


def _calibration(source: _Source, given: Sequence[Inputs]) -> list[Example]:
    """Return the inputs to calibrate with: the given ones, else random ones."""
    example = source.example
    if not given:
        seeds = range(1, RANDOM_CALIBRATIONS) if example.is_random else ()
        return [example, *map(example.redrawn, seeds)]
    examples = [example_of(source.module, each) for each in given]
    for each in examples:
        if each.kind != example.kind:
            raise ExportError(
                f"an input for calibration is {each.kind}, and the network's is {example.kind}: "
                "give inputs of the same shape and dtype"
            )
    return examples


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
    """The caller's module, its inputs, and its outputs for them."""

    def __init__(self, module: nn.Module, inputs: Inputs, precision: Precision) -> None:
        check(module)
        self.module = module
        self.is_half = precision is Precision.FP16
        example = example_of(module, inputs)
        self.example = example.with_floats(Tensor.half) if self.is_half else example
        self.reference = Reference(module, self.copy, self.example)
        copy = self.reference.copy or self.copy()
        with running_code_of(module):
            self.traced: fx.GraphModule | None = traced(copy, self.example)

    def copy(self) -> nn.Module:
        copied = evaluation_copy(self.module)
        return copied.half() if self.is_half else copied

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

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:  # noqa: ANN401 -- as the network
        copies = {name: x.clone() for name, x in kwargs.items()}
        return self.network(*(x.clone() for x in args), **copies)


def _runs(data: bytes) -> Callable[[Example], list[Any]]:
    """Return what runs a program on an example."""
    return lambda example: results(data, *example.tensors)


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
    difference = source.reference.disagreement(_runs(data))
    if difference is not None:
        source.traced = None  # the traced network may be the cause
        doubts.append(f"direct lowering made a program that is not its network: {difference}")
        return None
    return Lowered("direct", data, kernels, (), source.example.specs())


def _by_stock(source: _Source, doubts: tuple[str, ...]) -> Lowered:
    problem: ExportError | None = None
    for network in source.networks():
        try:
            with running_code_of(source.module):
                data, kernels, undelegated = stock.lower(network, source.example)
        except MemoryError:
            raise
        except Exception as error:
            problem = ExportError(f"ExecuTorch cannot lower this network: {error}")
            problem.__cause__ = error
            continue
        difference = source.reference.disagreement(_runs(data))
        if difference is None:
            inputs = source.example.specs()
            return Lowered("stock", data, kernels, undelegated, inputs, doubts=doubts)
        problem = ExportError(
            "the program that ExecuTorch's own lowering makes does not compute what the "
            f"network computes: {difference}"
        )
    assert problem is not None
    raise problem
