"""Lists what a `.pte` file holds: inputs, kernels, operators outside the delegate, memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from latlab.domain.kernel import Kernel, Shape
from latlab.domain.program import TensorSpec
from latlab.programs.schema import program_generated as pte
from latlab.programs.schema.scalar_type_generated import ScalarType
from latlab.programs.tables import ProgramFile, UnreadableProgram, items, xnnpack_graph
from latlab.programs.xnnpack_kernels import graph_kernels

XNNPACK = "XnnpackBackend"

_DTYPES = {
    ScalarType.BYTE: "uint8",
    ScalarType.CHAR: "int8",
    ScalarType.SHORT: "int16",
    ScalarType.INT: "int32",
    ScalarType.LONG: "int64",
    ScalarType.HALF: "float16",
    ScalarType.FLOAT: "float32",
    ScalarType.DOUBLE: "float64",
    ScalarType.BOOL: "bool",
    ScalarType.BFLOAT16: "bfloat16",
}
# What FlatBuffers' accessors raise where offsets point out of the file.
_DAMAGE = (struct.error, LookupError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Listing:
    """What a `.pte` file holds.

    Attributes:
        inputs: What the program takes.
        kernels: The kernels in the order they run. An operator that no delegate took is a
            kernel "portable:<operator>".
        undelegated: The operators that no delegate took, each once.
        planned_bytes: The memory that the program plans for its activations.
    """

    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    planned_bytes: int


def read_program(data: bytes) -> Listing:
    """Return what a `.pte` file holds.

    Args:
        data: The bytes of the file, which anyone may have made.

    Raises:
        UnreadableProgram: The file is not a program, is damaged, or needs inputs that no
            runner can fill.
    """
    try:
        return _listing(ProgramFile(data))
    except UnreadableProgram:
        raise
    except _DAMAGE as error:
        raise UnreadableProgram(f"the program is damaged: {error}") from error


def _listing(file: ProgramFile) -> Listing:
    plan = file.plan()
    values = [_Value.read(value) for value in items(plan.Values, plan.ValuesLength())]
    operators = [
        operator.Name().decode() for operator in items(plan.Operators, plan.OperatorsLength())
    ]
    delegates = list(items(plan.Delegates, plan.DelegatesLength()))
    kernels: list[Kernel] = []
    undelegated: dict[str, None] = {}
    for call in _calls(plan):
        arguments = list(items(call.Args, call.ArgsLength()))
        if isinstance(call, pte.KernelCall):
            name = operators[call.OpIndex()].removeprefix("aten::")
            kernels.append(_portable_kernel(f"portable:{name}", arguments, values))
            undelegated[name] = None
            continue
        delegate = delegates[call.DelegateIndex()]
        backend = delegate.Id().decode()
        if backend == XNNPACK:
            kernels += graph_kernels(xnnpack_graph(file.payload(delegate)))
        else:
            kernels.append(_portable_kernel(f"delegate:{backend}", arguments, values))
    return Listing(
        inputs=tuple(
            _input(position, values[index])
            for position, index in enumerate(items(plan.Inputs, plan.InputsLength()))
        ),
        kernels=tuple(kernels),
        undelegated=tuple(undelegated),
        planned_bytes=sum(items(plan.NonConstBufferSizes, plan.NonConstBufferSizesLength())),
    )


def _calls(plan: pte.ExecutionPlan) -> Iterator[Any]:
    """Yield the calls of operators and delegates, in the order they run."""
    types = {
        pte.InstructionArguments.KernelCall: pte.KernelCall,
        pte.InstructionArguments.DelegateCall: pte.DelegateCall,
    }
    for chain in items(plan.Chains, plan.ChainsLength()):
        for instruction in items(chain.Instructions, chain.InstructionsLength()):
            call_type = types.get(instruction.InstrArgsType())
            if call_type is not None:
                yield _read_union(call_type, instruction.InstrArgs())


@dataclass(frozen=True)
class _Value:
    """A value of a plan: a tensor, a list of tensors by their indices, or something else."""

    tensor: pte.Tensor | None = None
    members: tuple[int, ...] = ()

    @staticmethod
    def read(value: pte.EValue) -> _Value:
        if value.ValType() == pte.KernelTypes.Tensor:
            return _Value(tensor=_read_union(pte.Tensor, value.Val()))
        if value.ValType() == pte.KernelTypes.TensorList:
            members = _read_union(pte.TensorList, value.Val())
            return _Value(members=tuple(items(members.Items, members.ItemsLength())))
        return _Value()


def _portable_kernel(kind: str, arguments: Sequence[int], values: Sequence[_Value]) -> Kernel:
    """Return the kernel of a call.

    The last argument is its output, which also stands among those before it. Tensors that have
    data in the program are weights. The first of several outputs stands for all.
    """
    *before, last = (_tensor_indices(index, values) for index in arguments)
    inputs = [index for indices in before for index in indices if index not in last]
    return Kernel(
        kind=kind,
        inputs=tuple(
            _shape(tensor)
            for index in inputs
            if (tensor := values[index].tensor) is not None and tensor.DataBufferIdx() == 0
        ),
        output=_shape(values[last[0]].tensor),
    )


def _tensor_indices(index: int, values: Sequence[_Value]) -> list[int]:
    value = values[index]
    if value.tensor is not None:
        return [index]
    return [member for member in value.members if values[member].tensor is not None]


def _input(position: int, value: _Value) -> TensorSpec:
    if value.tensor is None:
        raise UnreadableProgram(f"input {position} of the program is not a tensor")
    scalar_type = value.tensor.ScalarType()
    dtype = _DTYPES.get(scalar_type, f"dtype {scalar_type}")
    return TensorSpec(_shape(value.tensor), dtype)


def _shape(tensor: pte.Tensor) -> Shape:
    return tuple(items(tensor.Sizes, tensor.SizesLength()))


def _read_union(table_type: Any, table: Any) -> Any:  # noqa: ANN401 -- FlatBuffers has no types
    read = table_type()
    read.Init(table.Bytes, table.Pos)
    return read
