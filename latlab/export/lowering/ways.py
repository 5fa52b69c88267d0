"""Lower a module directly or by stock lowering, and check the program against the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision
from latlab.domain.program import TensorSpec
from latlab.export.execution.branches import OnOneBranch, values_read
from latlab.export.execution.checking import Reference, computed_disagreement, outputs_of
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.execution.isolation import isolated, running_code_of
from latlab.export.execution.running import results
from latlab.export.execution.weights import check
from latlab.export.lowering import direct, int8, stock
from latlab.export.lowering.edge.graph import Unsupported
from latlab.export.lowering.edge.plain_layers import make_plain
from latlab.export.lowering.edge.tracing import traced
from latlab.export.lowering.lowered_program import LoweredProgram
from latlab.export.lowering.preparation import evaluation_copy


@dataclass(frozen=True)
class Lowered:
    """A lowered program.

    Attributes:
        way: How it was lowered: "direct", "stock" or "int8".
        program: Its bytes, its kernels and where they come from.
        inputs: What a runner fills the inputs with.
        note: What else there is to say about the way, as the end of a sentence.
        doubts: Why direct lowering was not used although the network seemed to allow it.
    """

    way: str
    program: LoweredProgram
    inputs: tuple[TensorSpec, ...]
    note: str = ""
    doubts: tuple[str, ...] = ()


def lower(
    module: nn.Module,
    inputs: Inputs,
    precision: Precision,
    calibration: Sequence[Inputs],
    directly: bool,
    memory_bytes: int | None = None,
) -> Lowered:
    """Lower a module directly if that is possible and allowed, else by stock lowering.

    Args:
        module: The caller's module.
        inputs: Its inputs.
        precision: What the program computes with.
        calibration: For INT8, the inputs whose ranges are spanned; empty for random ones.
        directly: Direct lowering is allowed.
        memory_bytes: The device's memory; None if it is not known.

    Raises:
        ExportError: No way makes a program that computes what the module computes.
    """
    with isolated():
        check(module, precision, memory_bytes)
        source = _Source(module, inputs, precision)
        doubts: list[str] = []
        if directly and precision is not Precision.INT8 and source.traced is not None:
            lowered = _directly(source, source.traced, doubts)
            if lowered is not None:
                return lowered
        source.reference.require_repeatable()
        attempt = partial(_by_stock, source)
        if precision is Precision.INT8:
            ranges = int8.calibration_of(module, source.example, calibration)
            attempt = partial(_as_int8, source, ranges)
        return replace(_first_success(source, attempt), doubts=tuple(doubts))


def _first_success(source: _Source, attempt: Callable[[nn.Module], Lowered]) -> Lowered:
    """Return what an attempt makes of the first network that it succeeds with."""
    problem: ExportError | None = None
    for network in source.networks():
        try:
            with running_code_of(source.module):
                return attempt(network)
        except ExportError as error:
            problem = error
    assert problem is not None
    raise problem


class _Source:
    """The caller's module, its inputs, and its outputs for them."""

    def __init__(self, module: nn.Module, inputs: Inputs, precision: Precision) -> None:
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
        with running_code_of(self.module):
            values = values_read(self.copy(), self.example)
        if values:
            yield self._with_its_input_kept(OnOneBranch(self.copy(), values))

    def disagreement(
        self, network: nn.Module, compute: Callable[[Example], list[Any]]
    ) -> str | None:
        """Say how what was made of one of the networks differs from the module."""
        return self.reference.disagreement(compute, only_example=_is_on_one_branch(network))

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
        program = direct.lower(network)
    except Unsupported:
        return None
    except MemoryError:
        raise
    except Exception as error:
        doubts.append(f"direct lowering failed: {type(error).__name__}: {error}")
        return None
    difference = source.reference.disagreement(_runs(program.data))
    if difference is not None:
        source.traced = None  # the traced network may be the cause
        doubts.append(f"the program of direct lowering {difference}")
        return None
    return Lowered("direct", program, source.example.specs())


def _by_stock(source: _Source, network: nn.Module) -> Lowered:
    program = stock.lower(network, source.example)
    difference = source.disagreement(network, _runs(program.data))
    if difference is not None:
        raise ExportError(
            f"the program that ExecuTorch's own lowering makes {difference}"
            f"{stock.place_of_operator(difference, network, source.example)}"
        )
    return Lowered("stock", program, source.example.specs(), _note(network))


def _as_int8(source: _Source, ranges: Sequence[Example], network: nn.Module) -> Lowered:
    _require_none(
        source.disagreement(network, partial(outputs_of, network)),
        "a copy of the network",
    )
    example = source.example
    quantized = int8.quantize(network, ranges)
    expected = outputs_of(quantized, example.copy())
    tolerance = int8.tolerance(expected, outputs_of(network, example.copy()))
    program = stock.lower(quantized, example)
    _require_none(
        computed_disagreement(_runs(program.data), example, expected, tolerance),
        "the int8 program, compared with the quantized network,",
    )
    kind = "random" if any(each.is_random for each in ranges) else "given"
    note = f", calibrated on {len(ranges)} {kind} input{'s' * (len(ranges) > 1)}{_note(network)}"
    return Lowered("int8", program, example.specs(), note)


def _require_none(difference: str | None, subject: str) -> None:
    if difference is not None:
        raise ExportError(f"{subject} {difference}")


def _note(network: nn.Module) -> str:
    return ", on the branches of its example" if _is_on_one_branch(network) else ""


def _is_on_one_branch(network: nn.Module) -> bool:
    return any(isinstance(part, OnOneBranch) for part in network.modules())
