"""The instructions of a program that a profile's kernels belong to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latlab.profiling.profile import Place, Profile


@dataclass(frozen=True)
class Call:
    """One instruction: a call of the delegate, or of an operator outside it.

    Attributes:
        instruction: Its number in the program.
        place: Where it runs.
        rows: The profile's rows that it runs, from 0. They follow one another.
        is_whole: Whether these are certainly all of its kernels.
    """

    instruction: int
    place: Place
    rows: tuple[int, ...]
    is_whole: bool = True


def calls(profile: Profile) -> Iterator[Call]:
    """Yield the instructions that are known, in execution order.

    A kernel that was fused into another one has no instruction of its own. Between two operators
    outside the delegate there is usually one call of it, so the kernel belongs to that.
    """
    rows = profile.rows
    for place, group in itertools.groupby(range(len(rows)), lambda index: rows[index].place):
        indices = list(group)
        numbers = [rows[index].instruction for index in indices]
        known = {number for number in numbers if number is not None}
        if place is Place.DELEGATE and len(known) == 1:
            yield Call(known.pop(), place, tuple(indices))
        else:
            yield from _stated(place, indices, numbers)


def _stated(place: Place, indices: Sequence[int], numbers: Sequence[int | None]) -> Iterator[Call]:
    """Yield the instructions of rows as the rows state them."""
    pairs = zip(indices, numbers, strict=True)
    for number, group in itertools.groupby(pairs, lambda pair: pair[1]):
        if number is not None:
            yield Call(number, place, tuple(index for index, _ in group), None not in numbers)
