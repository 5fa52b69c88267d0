"""Lists what a `.pte` file holds: inputs, kernels, operators outside the delegate, memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from latlab.domain.kernel import PORTABLE, Kernel, Shape
from latlab.domain.program import TensorSpec
from latlab.programs.schema import program_generated as pte
from latlab.programs.schema.scalar_type_generated import ScalarType
from latlab.programs.tables import (
    WEIGHTS_ELSEWHERE,
    Buffer,
    PteFile,
    UnreadableProgram,
    items,
    name,
    numbers,
    xnnpack_graph,
)
from latlab.programs.xnnpack_kernels import graph_kernels

XNNPACK = "XnnpackBackend"
MAX_KERNELS = 100_000

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
# What a kernel that computes a number instead of a tensor returns, such as a size.
_NUMBERS = {
    pte.KernelTypes.Int: "int64",
    pte.KernelTypes.Double: "float64",
    pte.KernelTypes.Bool: "bool",
}
# What FlatBuffers' accessors raise where offsets point out of the file.
_DAMAGE = (struct.error, LookupError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Listing:
    """The contents of a `.pte` file.

    The shapes of a dynamic program are the largest that it takes. A program with branches lists
    the kernels of all of them.

    Attributes:
        inputs: What the program takes. It does not know the ranges of integers.
        kernels: The kernels in the order they run. An operator that no delegate took is a
            kernel "portable:<operator>".
        undelegated: The operators that no delegate took, each once.
        planned_bytes: The memory that the program plans for its activations.
    """

    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    undelegated: tuple[str, ...]
    planned_bytes: int


def read_program(data: Buffer) -> Listing:
    """Return what a `.pte` file holds.

    Args:
        data: The bytes of the file, which anyone may have made.

    Raises:
        UnreadableProgram: The file is not a program, is damaged, has its weights in another
            file, or needs inputs that no runner can fill.
    """
    try:
        return _listing(PteFile(data))
    except UnreadableProgram:
        raise
    except _DAMAGE as error:
        raise UnreadableProgram(f"the program is damaged: {error}") from error


def operator_names(data: Buffer) -> list[str]:
    """Return the full names, such as "aten::add.out", of a readable program's operators."""
    plan = PteFile(data).plan()
    operators = items(plan.Operators, plan.OperatorsLength())
    parts = ((name(operator.Name()), name(operator.Overload())) for operator in operators)
    return [".".join(filter(None, each)) for each in parts]


def _listing(file: PteFile) -> Listing:
    plan = file.plan()
    values = [_Value.read(value) for value in items(plan.Values, plan.ValuesLength())]
    operators = [
        name(operator.Name()) for operator in items(plan.Operators, plan.OperatorsLength())
    ]
    delegates = list(items(plan.Delegates, plan.DelegatesLength()))
    weights = file.named_data()
    kernels: list[Kernel] = []
    undelegated: dict[str, None] = {}
    for call in _calls(plan):
        arguments = list(items(call.Args, call.ArgsLength()))
        if isinstance(call, pte.KernelCall):
            operator = operators[call.OpIndex()].removeprefix("aten::")
            undelegated[operator] = None
            kernels.append(_portable_kernel(f"{PORTABLE}{operator}", arguments, values))
        elif (backend := name(delegates[call.DelegateIndex()].Id())) == XNNPACK:
            payload = file.payload(delegates[call.DelegateIndex()])
            kernels += graph_kernels(xnnpack_graph(payload), weights)
        else:
            kernels.append(_portable_kernel(f"delegate:{backend}", arguments, values))
        if len(kernels) > MAX_KERNELS:
            raise UnreadableProgram(f"the program has more than {MAX_KERNELS} kernels")
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
    """Yield the calls of operators and delegates, in the order they run.

    What is between them moves, frees or branches, and takes no time worth a kernel.
    """
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
    """A value of a plan: a tensor, a list of tensors by their indices, or something else.

    Attributes:
        tensor: The tensor.
        members: The indices of the listed tensors.
        dtype: The data type of a tensor or a number; "" for all else.
    """

    tensor: pte.Tensor | None = None
    members: tuple[int, ...] = ()
    dtype: str = ""

    @staticmethod
    def read(value: pte.EValue) -> _Value:
        kind = value.ValType()
        if kind == pte.KernelTypes.Tensor:
            tensor = _read_union(pte.Tensor, value.Val())
            extra = tensor.ExtraTensorInfo()
            if extra is not None and extra.Location() == pte.TensorDataLocation.EXTERNAL:
                raise UnreadableProgram(WEIGHTS_ELSEWHERE)
            scalar_type = tensor.ScalarType()
            return _Value(tensor, dtype=_DTYPES.get(scalar_type, f"dtype{scalar_type}"))
        if kind == pte.KernelTypes.TensorList:
            members = _read_union(pte.TensorList, value.Val())
            return _Value(members=tuple(items(members.Items, members.ItemsLength())))
        return _Value(dtype=_NUMBERS.get(kind, ""))

    @property
    def shape(self) -> Shape:
        """The shape of a tensor; that of a number is empty."""
        if self.tensor is None:
            return ()
        shape = numbers(self.tensor, 2, "i")
        if any(size < 0 for size in shape):
            raise UnreadableProgram(f"the program is damaged: a tensor has the shape {shape}")
        return shape


def _portable_kernel(kind: str, arguments: Sequence[int], values: Sequence[_Value]) -> Kernel:
    """Return the kernel of a call.

    The last argument is its output, which also stands among those before it. Tensors that have
    data in the program are weights. The first of several outputs stands for all.
    """
    *before, last = (_tensor_indices(index, values) for index in arguments)
    inputs = [index for indices in before for index in indices if index not in last]
    output = values[last[0]] if last else values[arguments[-1]]
    return Kernel(
        kind=kind,
        inputs=tuple(
            values[index].shape
            for index in inputs
            if (tensor := values[index].tensor) is not None and tensor.DataBufferIdx() == 0
        ),
        output=output.shape,
        dtype=output.dtype or "float32",
    )


def _tensor_indices(index: int, values: Sequence[_Value]) -> list[int]:
    value = values[index]
    if value.tensor is not None:
        return [index]
    return [member for member in value.members if values[member].tensor is not None]


def _input(position: int, value: _Value) -> TensorSpec:
    if value.tensor is None:
        raise UnreadableProgram(
            f"input {position} of the program is not a tensor, and only tensors can be filled:"
            " export it with a fixed value"
        )
    if value.tensor.ShapeDynamism() == pte.TensorShapeDynamism.DYNAMIC_UNBOUND:
        raise UnreadableProgram(
            f"input {position} of the program has a shape without a limit: export it with an"
            " upper limit for each dimension"
        )
    try:
        return TensorSpec(value.shape, value.dtype)
    except ValueError as error:
        raise UnreadableProgram(f"input {position} of the program: {error}") from error


def _read_union(table_type: Any, table: Any) -> Any:  # noqa: ANN401 -- FlatBuffers has no types
    read = table_type()
    read.Init(table.Bytes, table.Pos)
    return read
