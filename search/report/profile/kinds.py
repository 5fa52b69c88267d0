"""The kinds of a profile's kernels: what each takes in all, and its colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latlab.profiling.profile import Profile
from search.report.drawing.palette import KINDS
from search.report.profile import words

OTHER = "other"  # the CSS class of the kinds that have no colour of their own


@dataclass(frozen=True)
class Kind:
    """All kernels of one kind.

    Attributes:
        name: The kind with its precision.
        color: The CSS class of its colour.
        kernels: How many there are.
        time_ns: The time of all of them.
    """

    name: str
    color: str
    kernels: int
    time_ns: float


def kinds(profile: Profile) -> list[Kind]:
    """Return a profile's kinds, the one that takes most first.

    The first ones have colours of their own. The others share a grey, because more colours than
    those could not be told apart by people who do not see all of them.
    """
    times_ns: dict[str, list[float]] = {}
    for row in profile.rows:
        times_ns.setdefault(words.kind(row), []).append(row.time_ns)
    ordered = sorted(times_ns.items(), key=lambda each: -sum(each[1]))
    return [
        Kind(name, KINDS[number] if number < len(KINDS) else OTHER, len(times), sum(times))
        for number, (name, times) in enumerate(ordered)
    ]


def colors(profile: Profile) -> dict[str, str]:
    """Return the CSS class of each kind's colour."""
    return {kind.name: kind.color for kind in kinds(profile)}


def dominant(profile: Profile, rows: Iterable[int]) -> str:
    """Return the kind that takes most of the time of some rows."""
    times_ns: dict[str, float] = {}
    for index in rows:
        row = profile.rows[index]
        name = words.kind(row)
        times_ns[name] = times_ns.get(name, 0.0) + row.time_ns
    return max(times_ns, key=lambda name: times_ns[name])


def filter_text(key: str, value: str) -> str:
    """Return what to write into the page's filter box to see one kind or one module.

    Args:
        key: "kind" or "module".
        value: The kind's name or the module's path. The filter ignores quotation marks in it.
    """
    plain = value.replace('"', "")
    return f'{key}:"{plain}"' if any(map(str.isspace, plain)) else f"{key}:{plain}"
