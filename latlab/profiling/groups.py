"""Kernels of a profile in groups: by module, kind or line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from latlab.profiling.profile import ProfileRow

# Modules are grouped by as much of their paths as gives no more groups than this.
MOST_MODULES = 20
UNKNOWN = "(unknown)"
NETWORK_ITSELF = "(the network itself)"


class Grouping(str, Enum):
    """The property that the kernels of one group share."""

    MODULE = "module"
    KIND = "kind"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Group:
    """Some kernels of a profile.

    Attributes:
        name: What they have in common.
        rows: The kernels, in execution order.
    """

    name: str
    rows: tuple[ProfileRow, ...]

    @property
    def time_ns(self) -> float:
        """How long the kernels take together, in ns."""
        return sum(row.time_ns for row in self.rows)


def groups(
    rows: Sequence[ProfileRow], grouping: Grouping, depth: int | None = None
) -> tuple[Group, ...]:
    """Return the kernels in groups, the slowest group first.

    Args:
        rows: The kernels.
        grouping: What the kernels of a group have in common.
        depth: How many parts of modules' paths count; None for whole paths.
    """
    name = _NAMES[grouping]
    by_name: dict[str, list[ProfileRow]] = defaultdict(list)
    for row in rows:
        by_name[name(row, depth)].append(row)
    found = [Group(name, tuple(rows)) for name, rows in by_name.items()]
    return tuple(sorted(found, key=lambda group: -group.time_ns))


def module_depth(rows: Sequence[ProfileRow]) -> int:
    """Return how many parts of modules' paths give the most groups, up to MOST_MODULES.

    It is at least 1.
    """
    paths = {row.source.module for row in rows if row.source is not None}
    deepest = max((path.count(".") + 1 for path in paths), default=1)
    depths = range(deepest, 1, -1)
    return next((d for d in depths if len({_prefix(p, d) for p in paths}) <= MOST_MODULES), 1)


def _module(row: ProfileRow, depth: int | None) -> str:
    if row.source is None:
        return UNKNOWN
    return _prefix(row.source.module, depth) or NETWORK_ITSELF


def _kind(row: ProfileRow, _: int | None) -> str:
    return row.kernel.typed_kind


def _line(row: ProfileRow, _: int | None) -> str:
    return str(row.source) if row.source is not None and row.source.file else UNKNOWN


def _prefix(path: str, depth: int | None) -> str:
    return ".".join(path.split(".")[:depth])


_NAMES: dict[Grouping, Callable[[ProfileRow, int | None], str]] = {
    Grouping.MODULE: _module,
    Grouping.KIND: _kind,
    Grouping.LINE: _line,
}
