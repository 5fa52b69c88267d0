"""Conversions between the layouts NCHW and NHWC inside a network.

XNNPACK computes images in NHWC. All other operators, and the borders of the delegate, have NCHW.
The conversions of a network's own inputs and outputs are no finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import pairwise

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, Shape
from latlab.profiling.findings.evidence import Evidence, Row, Site, places, saved_share, saving
from latlab.profiling.findings.finding import FindingKind
from latlab.profiling.profile import Span

_MIDDLE = "Images are converted between NHWC and NCHW in the middle of the network."
_ON_IMAGES = (
    "Use layers on images between convolutions, instead of permute and of arithmetic with Python"
    " numbers: nn.Conv2d(kernel_size=1) for nn.Linear, nn.Hardswish for its formula."
)
_BROKEN_WHAT = "Operators outside the delegate break the graph into several delegate calls."
_BROKEN_REMEDY = (
    "Replace the operators between the calls by ones that run inside, also where they take little"
    " time themselves."
)


class _Cause(Enum):
    """Why an image is converted in the middle of a network."""

    OPERATOR = "an operator outside the delegate reads or writes it"
    ARITHMETIC = "operators of the same delegate call compute it in NCHW"
    BREAK = "it passes by an operator outside the delegate"


def is_to_nhwc(kernel: Kernel) -> bool:
    """Return whether a kernel turns an image from NCHW into NHWC."""
    shape = _nchw(kernel)
    return shape is not None and kernel.output == (shape[0], *shape[2:], shape[1])


def is_to_nchw(kernel: Kernel) -> bool:
    """Return whether a kernel turns an image from NHWC into NCHW."""
    shape = _nchw(kernel)
    return shape is not None and kernel.output == (shape[0], shape[3], *shape[1:3])


def _nchw(kernel: Kernel) -> Shape | None:
    """Return the input of a transpose of an image; None for all other kernels."""
    if kernel.kind != k.TRANSPOSE or len(kernel.inputs) != 1 or len(kernel.inputs[0]) != 4:
        return None
    return kernel.inputs[0]


def conversions(evidence: Evidence) -> Iterator[Site]:
    """Yield conversions of what operators in NCHW read or write in the middle of a network."""
    rows = evidence.rows
    for before, row in pairwise(rows):
        if _follows(before.kernel, row.kernel):
            yield Site(
                FindingKind.LAYOUT,
                (before.place, row.place),
                saved_share([before, row], 0.5, 1.0, 1.0),
                _MIDDLE,
                _ON_IMAGES,
            )
    for index, row in enumerate(rows):
        cause = _cause(rows, index)
        if cause is _Cause.OPERATOR:
            what = (
                "Images are converted between NHWC and NCHW around operators outside the delegate."
            )
            remedy = "Replace the operators outside the delegate, and their conversions go too."
            yield Site(FindingKind.LAYOUT, (row.place,), saving([row]), what, remedy)
        elif cause is _Cause.ARITHMETIC:
            yield Site(FindingKind.LAYOUT, (row.place,), saving([row]), _MIDDLE, _ON_IMAGES)


def _follows(before: Kernel, kernel: Kernel) -> bool:
    """Return whether two transposes of an image follow each other."""
    return (
        _nchw(kernel) is not None
        and _nchw(before) is not None
        and kernel.inputs[0] == before.output
    )


def broken_graph(evidence: Evidence) -> Iterator[Site]:
    """Yield the conversions of images that only pass by operators outside the delegate.

    The cost of the calls themselves is part of the rest, which all calls and all kernels share: the
    runtime sets up each of them in every run. At most, the calls alone share it.
    """
    breaks = _breaks(evidence.rows)
    if not breaks:
        return
    rows = evidence.rows
    passing = [row for index, row in enumerate(rows) if _cause(rows, index) is _Cause.BREAK]
    cost = saving(passing)
    rest = evidence.rest
    if rest is not None and rest.time_ns > 0:
        calls = breaks + 1
        cost = Span(
            cost.time_ns + breaks / (calls + len(rows)) * rest.time_ns,
            cost.lower_ns,
            cost.upper_ns + breaks / calls * max(rest.upper_ns, rest.time_ns),
        )
    yield Site(FindingKind.BROKEN, places(passing), cost, _BROKEN_WHAT, _BROKEN_REMEDY)


def _cause(rows: Sequence[Row], index: int) -> _Cause | None:
    """Return why there is a conversion; None for a network's own input or output."""
    kernel = rows[index].kernel
    if is_to_nchw(kernel):
        return _cause_of_leaving(rows, index)
    if is_to_nhwc(kernel):
        return _cause_of_returning(rows, index)
    return None


def _cause_of_leaving(rows: Sequence[Row], index: int) -> _Cause | None:
    shape = rows[index].kernel.output
    for place in range(index + 1, len(rows)):
        row = rows[place]
        if shape not in row.kernel.inputs:
            continue
        if row.is_portable:
            return _Cause.OPERATOR
        if row.kernel.kind == k.RESHAPE:
            return None
        if _has_operator(rows[index:place]):
            return _Cause.BREAK
        if not is_to_nhwc(row.kernel):
            return _Cause.ARITHMETIC
    return None


def _cause_of_returning(rows: Sequence[Row], index: int) -> _Cause | None:
    shape = rows[index].kernel.inputs[0]
    for place in reversed(range(index)):
        row = rows[place]
        if row.kernel.output != shape:
            continue
        if row.is_portable:
            return _Cause.OPERATOR
        if row.kernel.kind == k.RESHAPE:
            return None
        if _has_operator(rows[place:index]):
            return _Cause.BREAK
        if is_to_nchw(row.kernel):
            continue
        # It was computed in NCHW: by its formula, or because its inputs came from another call.
        start = max((at for at in range(place) if rows[at].is_portable), default=-1)
        if any(is_to_nchw(before.kernel) for before in rows[start + 1 : place]):
            return _Cause.ARITHMETIC
        if start < 0:
            return None
        return _Cause.OPERATOR if rows[start].kernel.output == shape else _Cause.BREAK
    return None


def _has_operator(rows: Sequence[Row]) -> bool:
    return any(row.is_portable for row in rows)


def _breaks(rows: Sequence[Row]) -> int:
    """Return how many delegate calls there are beside the first."""
    calls = 0
    is_inside = False
    instruction: int | None = None
    for row in rows:
        if row.is_portable:
            is_inside = False
        elif not is_inside or row.row.instruction != instruction:
            calls += 1
            is_inside, instruction = True, row.row.instruction
    return max(0, calls - 1)
