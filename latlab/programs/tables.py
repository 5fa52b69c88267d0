"""The parts of a `.pte` file: its program and the payloads of its delegates.

The layout is ExecuTorch's: a FlatBuffer (schema/program.fbs) with an extended header, then the
segments that it refers to. A payload for XNNPACK is a header, a FlatBuffer of its own
(runtime_schema.fbs) and the weights.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

from latlab.domain.errors import InvalidRequest
from latlab.programs.schema.program_generated import (
    BackendDelegate,
    DataLocation,
    ExecutionPlan,
    Program,
)
from latlab.programs.schema.xnnpack_generated import XNNGraph

Item = TypeVar("Item")

METHOD = b"forward"
_PROGRAM_IDENTIFIER = b"ET"  # then two digits
_EXTENDED_HEADER = struct.Struct("<8x4sIQQ")  # magic, length, program size, segment base
_XNNPACK_HEADER = struct.Struct("<4x4sHII")  # magic, length, FlatBuffer's offset and size
_XNNPACK_IDENTIFIERS = (b"XN00", b"XN01")
_MOST_ITEMS = 1_000_000  # of any list: real programs have thousands


class UnreadableProgram(InvalidRequest):
    """A file is not an ExecuTorch program, or one that is damaged or made by another version."""


class ProgramFile:
    """A program and the file that it lies in.

    Args:
        data: The bytes of the `.pte` file.

    Raises:
        UnreadableProgram: The file is not a program.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        if data[4:6] != _PROGRAM_IDENTIFIER:
            raise UnreadableProgram("this file is not an ExecuTorch program (.pte)")
        magic, _, _, self._segment_base = _EXTENDED_HEADER.unpack_from(data)
        if magic != b"eh00":
            self._segment_base = 0
        self.program = Program.GetRootAs(data)

    def plan(self) -> ExecutionPlan:
        """Return the plan of the method `forward`, or the only one."""
        program = self.program
        plans = list(items(program.ExecutionPlan, program.ExecutionPlanLength()))
        for plan in plans:
            if plan.Name() == METHOD or len(plans) == 1:
                return plan
        raise UnreadableProgram(f"the program has {len(plans)} methods and none named forward")

    def payload(self, delegate: BackendDelegate) -> memoryview:
        """Return the bytes that a delegate's backend reads."""
        reference = delegate.Processed()
        if reference.Location() == DataLocation.SEGMENT:
            segment = self.program.Segments(reference.Index())
            start = self._segment_base + segment.Offset()
            return self._slice(start, segment.Size())
        inline = self.program.BackendDelegateData(reference.Index())
        field = inline._tab.Offset(4)
        return self._slice(inline._tab.Vector(field), inline.DataLength())

    def _slice(self, start: int, size: int) -> memoryview:
        if start + size > len(self._data):
            raise UnreadableProgram("the program is truncated: its delegates' data are missing")
        return self._data[start : start + size]


def xnnpack_graph(payload: memoryview) -> XNNGraph:
    """Return the graph in a payload for XNNPACK."""
    magic, _, offset, _ = _XNNPACK_HEADER.unpack_from(payload)
    graph = payload[offset:] if magic == b"XH00" else payload
    if bytes(graph[4:8]) not in _XNNPACK_IDENTIFIERS:
        raise UnreadableProgram("the program's XNNPACK graph is of an unknown format")
    return XNNGraph.GetRootAs(graph)


def items(get: Callable[[int], Item], length: int) -> Iterator[Item]:
    """Yield the items of a FlatBuffer's vector, whose length is not to be trusted."""
    if length > _MOST_ITEMS:
        raise UnreadableProgram(f"the program has a list of {length} items: it is damaged")
    return map(get, range(length))
