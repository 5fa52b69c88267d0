"""The tree of a profile's modules, with the time that each takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from latlab.profiling.profile import Profile, ProfileRow
from search.report.profile import words

MAX_DEPTH = 12  # of a module path; what lies deeper is one module


@dataclass
class Branch:
    """A module, or a kind of kernels, with what lies below it.

    Attributes:
        name: The last part of its path.
        path: Its path from the network, as module paths are written; "" for the network.
        rows: The profile's rows that are its own, from 0.
        branches: What lies below it, by name, in order of first execution.
        time_ns: The time of all its rows and of all rows below it.
    """

    name: str
    path: str
    rows: list[int] = field(default_factory=list)
    branches: dict[str, Branch] = field(default_factory=dict)
    time_ns: float = 0.0

    def all_rows(self) -> Iterator[int]:
        """Yield its rows and those below it."""
        yield from self.rows
        for branch in self.branches.values():
            yield from branch.all_rows()


def has_modules(profile: Profile) -> bool:
    """Return whether any kernel's module is known."""
    return any(row.source is not None for row in profile.rows)


def tree(profile: Profile) -> Branch:
    """Return a profile's modules as a tree, or its kinds where no module is known.

    Times below zero, which noise can make, count as zero: they have no area.
    """
    by_module = has_modules(profile)
    root = Branch("", "")
    for index, row in enumerate(profile.rows):
        parts = module_parts(row) if by_module else [words.kind(row)]
        branch = root
        branch.time_ns += max(row.time_ns, 0.0)
        for depth, part in enumerate(parts):
            path = ".".join(parts[: depth + 1])
            branch = branch.branches.setdefault(part, Branch(part, path))
            branch.time_ns += max(row.time_ns, 0.0)
        branch.rows.append(index)
    return root


def module_parts(row: ProfileRow) -> Sequence[str]:
    """Return the parts of the path of a kernel's module; one part where it is not known."""
    if row.source is None:
        return [words.MODULE_UNKNOWN]
    if not row.source.module:
        return [words.NETWORK_ITSELF]
    return words.short(row.source.module).split(".", MAX_DEPTH - 1)
