"""Two profiles side by side: which kernels differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from latlab.profiling.groups import Grouping, groups
from latlab.profiling.kernel_text import kernel_text
from latlab.profiling.profile import Profile, ProfileRow, Span

_NOTHING = Span(0.0, 0.0, 0.0)
_Pair = tuple[ProfileRow | None, ProfileRow | None]
_Block = tuple[Sequence[ProfileRow], Sequence[ProfileRow]]


@dataclass(frozen=True, slots=True)
class Difference:
    """The kernels that two networks have in one place.

    Attributes:
        first: The kernel of the first network; None if it has none there.
        second: The kernel of the second network; None if it has none there.
        change: The time of the second minus that of the first.
    """

    first: ProfileRow | None
    second: ProfileRow | None
    change: Span

    @property
    def text(self) -> str:
        """The kernel of both, or both kernels if they differ, in few words.

        A kernel of the first network only comes after a minus, one of the second only after a
        plus. A difference in precision alone is not shown.
        """
        if self.first is None or self.second is None:
            row = self.first or self.second
            return f"{'+' if self.first is None else '-'} {kernel_text(row.kernel)}" if row else ""
        first, second = self.first.kernel, self.second.kernel
        if replace(first, dtype=second.dtype) == second:
            return kernel_text(replace(first, dtype="float32"))
        return f"{kernel_text(first)}\n=> {kernel_text(second)}"


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """The time that one group of kernels takes in two profiles.

    Attributes:
        name: What the kernels have in common.
        first_ns: The time in the first profile.
        second_ns: The time in the second profile.
    """

    name: str
    first_ns: float
    second_ns: float

    @property
    def change_ns(self) -> float:
        """The time in the second profile minus that in the first."""
        return self.second_ns - self.first_ns


def differences(
    first: Sequence[ProfileRow], second: Sequence[ProfileRow]
) -> tuple[Difference, ...]:
    """Return the kernels of two networks side by side, the largest change first.

    Kernels are matched in execution order: first those of the same module, operator and shapes,
    then, between them, those of the same module and kind, and last those of the same kind at the
    same size, if possible with the same window. What remains is in one network only. Data types
    do not count, so that precisions can be compared.
    """
    found = [Difference(a, b, change(_span(a), _span(b))) for a, b in _pairs(first, second)]
    return tuple(sorted(found, key=lambda each: -abs(each.change.time_ns)))


def group_differences(
    first: Profile, second: Profile, grouping: Grouping, depth: int | None = None
) -> tuple[GroupDifference, ...]:
    """Return what the groups of two profiles take, the largest change first.

    The arguments are those of `groups`. A kind is the operator alone, without its precision.
    """
    of_first, of_second = (
        {group.name: group.time_ns for group in groups(rows, grouping, depth)}
        for rows in (_without_precision(first.rows), _without_precision(second.rows))
    )
    found = [
        GroupDifference(name, of_first.get(name, 0.0), of_second.get(name, 0.0))
        for name in {**of_first, **of_second}
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.change_ns)))


def change(first: Span, second: Span) -> Span:
    """Return the second time minus the first. Their errors are taken to be independent."""
    time_ns = second.time_ns - first.time_ns
    below = math.hypot(second.time_ns - second.lower_ns, first.upper_ns - first.time_ns)
    above = math.hypot(second.upper_ns - second.time_ns, first.time_ns - first.lower_ns)
    return Span(time_ns, time_ns - below, time_ns + above)


def _pairs(first: Sequence[ProfileRow], second: Sequence[ProfileRow]) -> Iterator[_Pair]:
    pairs: list[_Pair] = []
    unmatched: list[_Block] = [(first, second)]
    for key in (_same, _same_module, _same_window, _same_size):
        remaining: list[_Block] = []
        for a, b in unmatched:
            matched, blocks = _match(a, b, key)
            pairs += matched
            remaining += blocks
        unmatched = remaining
    yield from pairs
    for a, b in unmatched:
        yield from ((row, None) for row in a)
        yield from ((None, row) for row in b)


def _match(
    first: Sequence[ProfileRow],
    second: Sequence[ProfileRow],
    key: Callable[[ProfileRow], Hashable],
) -> tuple[list[_Pair], list[_Block]]:
    """Return the pairs with equal keys, and the blocks between them that remain."""
    matcher = SequenceMatcher(None, list(map(key, first)), list(map(key, second)), autojunk=False)
    pairs: list[_Pair] = []
    blocks = []
    for tag, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        a, b = first[a_start:a_end], second[b_start:b_end]
        if tag == "equal":
            pairs += zip(a, b, strict=True)
        else:
            blocks.append((a, b))
    return pairs, blocks


def _same(row: ProfileRow) -> Hashable:
    kernel = row.kernel
    shapes = (kernel.inputs, kernel.output, kernel.kernel_size, kernel.stride)
    return _same_module(row), shapes, kernel.dilation, kernel.groups, kernel.activation


def _same_module(row: ProfileRow) -> Hashable:
    # Kernels without a source are told apart by their sizes.
    return row.kernel.kind, row.source.module if row.source else _same_window(row)


def _same_window(row: ProfileRow) -> Hashable:
    return _same_size(row), row.kernel.kernel_size, row.kernel.stride


def _same_size(row: ProfileRow) -> Hashable:
    """Return the kind and the sizes of the output, except the channels."""
    return row.kernel.kind, row.kernel.output[:-1]


def _without_precision(rows: Sequence[ProfileRow]) -> list[ProfileRow]:
    return [replace(row, kernel=replace(row.kernel, dtype="float32")) for row in rows]


def _span(row: ProfileRow | None) -> Span:
    return Span(row.time_ns, row.lower_ns, row.upper_ns) if row is not None else _NOTHING
