"""The parts of a `.pte` file: its program and the payloads of its delegates.

The layout is ExecuTorch's: a FlatBuffer (schema/program.fbs) with an extended header, then the
segments that it refers to. A payload for XNNPACK is a header, a FlatBuffer of its own
(runtime_schema.fbs) and the weights.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Any, TypeAlias, TypeVar

from latlab.domain.errors import InvalidRequest
from latlab.programs.schema.program_generated import (
    BackendDelegate,
    DataLocation,
    ExecutionPlan,
    Program,
)
from latlab.programs.schema.xnnpack_generated import XNNGraph

Item = TypeVar("Item")
Buffer: TypeAlias = bytes | mmap

METHOD = "forward"
WEIGHTS_ELSEWHERE = (
    "the program has its weights in another file (.ptd), which cannot be measured: export it with"
    " its weights inside"
)
_PROGRAM_IDENTIFIER = b"ET"  # then two digits
_EXTENDED_HEADER = struct.Struct("<8x4sIQQ")  # magic, length, program size, segment base
_XNNPACK_HEADER = struct.Struct("<4x4sHII")  # magic, length, FlatBuffer's offset and size
_XNNPACK_IDENTIFIERS = (b"XN00", b"XN01")
_MOST_ITEMS = 1_000_000  # of any list: real programs have thousands
# Names are shown to people, so they hold nothing that has an effect in a terminal.
_NAME = re.compile(r"[\w:.+-]{1,200}", re.ASCII)


class UnreadableProgram(InvalidRequest):
    """A file is not an ExecuTorch program, or one that is damaged or made by another version."""


class PteFile:
    """A program and the bytes of the file that it lies in."""

    def __init__(self, data: Buffer) -> None:
        """Find the program in the bytes of a `.pte` file.

        Raises:
            UnreadableProgram: The file is not a program, or is truncated.
        """
        self._data = memoryview(data)
        if data[4:6] != _PROGRAM_IDENTIFIER:
            raise UnreadableProgram(
                f"this is not an ExecuTorch program (.pte): it begins with {data[:8]!r}"
            )
        magic, _, _, self._segment_base = _EXTENDED_HEADER.unpack_from(data)
        if magic != b"eh00":
            self._segment_base = 0
        self.program = Program.GetRootAs(data)
        for segment in items(self.program.Segments, self.program.SegmentsLength()):
            self._segment_bytes(segment.Offset(), segment.Size())

    def plan(self) -> ExecutionPlan:
        """Return the plan of the method `forward`, or the only one."""
        program = self.program
        plans: list[ExecutionPlan] = list(
            items(program.ExecutionPlan, program.ExecutionPlanLength())
        )
        if len(plans) == 1:
            return plans[0]
        methods = {name(plan.Name()): plan for plan in plans}
        if METHOD not in methods:
            raise UnreadableProgram(
                f"the program has no method {METHOD}, which is the one that is measured, but"
                f" {' and '.join(methods) or 'none at all'}: export the one to measure alone"
            )
        return methods[METHOD]

    def payload(self, delegate: BackendDelegate) -> memoryview:
        """Return the bytes that a delegate's backend reads."""
        reference = delegate.Processed()
        index = reference.Index()
        if reference.Location() == DataLocation.SEGMENT:
            segment = item(self.program.Segments, index, self.program.SegmentsLength())
            return self._segment_bytes(segment.Offset(), segment.Size())
        inline = item(
            self.program.BackendDelegateData, index, self.program.BackendDelegateDataLength()
        )
        return self._bytes(inline._tab.Vector(inline._tab.Offset(4)), inline.DataLength())

    def named_data(self) -> set[bytes]:
        """Return the names of the weights that lie in the file."""
        return {
            data.Key() for data in items(self.program.NamedData, self.program.NamedDataLength())
        }

    def _segment_bytes(self, offset: int, size: int) -> memoryview:
        return self._bytes(self._segment_base + offset, size)

    def _bytes(self, start: int, size: int) -> memoryview:
        if start + size > len(self._data):
            raise UnreadableProgram(
                f"the program is truncated: it has {len(self._data)} bytes and refers to"
                f" {start + size}"
            )
        return self._data[start : start + size]


def xnnpack_graph(payload: memoryview) -> XNNGraph:
    """Return the graph in a payload for XNNPACK."""
    magic, _, offset, _ = _XNNPACK_HEADER.unpack_from(payload)
    graph = payload[offset:] if magic == b"XH00" else payload
    if bytes(graph[4:8]) not in _XNNPACK_IDENTIFIERS:
        raise UnreadableProgram("the program's XNNPACK graph is of an unknown format")
    root: XNNGraph = XNNGraph.GetRootAs(graph)
    return root


def items(get: Callable[[int], Item], length: int) -> Iterator[Item]:
    """Yield the items of a FlatBuffer's vector, whose length is not to be trusted."""
    return map(get, range(_checked(length)))


def numbers(table: Any, field: int, code: str) -> tuple[int, ...]:  # noqa: ANN401 -- generated
    """Return a vector of numbers. FlatBuffers' own accessors would read them one by one.

    Args:
        table: A table of the generated code.
        field: The number of the field in the schema, from 0.
        code: The numbers' type, as `struct` writes it.
    """
    fields = table._tab
    offset = fields.Offset(4 + 2 * field)
    if offset == 0:
        return ()
    length = _checked(fields.VectorLen(offset))
    return struct.unpack_from(f"<{length}{code}", fields.Bytes, fields.Vector(offset))


def _checked(length: int) -> int:
    if length > _MOST_ITEMS:
        raise UnreadableProgram(f"the program has a list of {length} items: it is damaged")
    return length


def name(written: bytes | None) -> str:
    """Return a name of an operator, a method or a backend. Raises if it is damaged."""
    text = (written or b"").decode()
    if not _NAME.fullmatch(text):
        raise UnreadableProgram(f"the program is damaged: it has the name {text[:80]!r}")
    return text


def item(get: Callable[[int], Item], index: int, length: int) -> Item:
    """Return an item of a vector, whose index is not to be trusted."""
    if index >= length:
        raise UnreadableProgram(f"the program is damaged: it has no part {index} of {length}")
    return get(index)
