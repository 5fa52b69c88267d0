"""Find the kernels that account for the difference between two programs' latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from host.measuring.kernel_times import kernel_times_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Visit
from latlab.domain.program import Program


@dataclass(frozen=True, slots=True)
class KernelChange:
    """A kernel of one or both of two programs.

    Attributes:
        kernel: The kernel.
        old_ns: How long it takes in the old program; 0 if it is not there.
        new_ns: How long it takes in the new program; 0 if it is not there.
        old_position: Its place in the old program, from 0; None if it is not there.
        new_position: Its place in the new program, from 0; None if it is not there.
    """

    kernel: Kernel
    old_ns: float
    new_ns: float
    old_position: int | None
    new_position: int | None

    @property
    def change_ns(self) -> float:
        """How much longer it takes in the new program."""
        return self.new_ns - self.old_ns


def kernel_changes(
    old: Program, old_visits: Sequence[Visit], new: Program, new_visits: Sequence[Visit]
) -> list[KernelChange] | None:
    """Return the kernels of both programs, the largest change of time first.

    Kernels that both programs run in the same order are the same. The others are in one of them
    only.

    Args:
        old: The old program.
        old_visits: Its visits, with traced ones.
        new: The new program.
        new_visits: Its visits, with traced ones.

    Returns:
        The changes; None if one of the programs has no traced visit.

    Raises:
        TraceMismatch: The kernels of a program and its traces do not align.
    """
    old_ns = kernel_times_ns(old, list(old_visits))
    new_ns = kernel_times_ns(new, list(new_visits))
    if old_ns is None or new_ns is None:
        return None
    matcher = SequenceMatcher(
        a=list(map(str, old.kernels)), b=list(map(str, new.kernels)), autojunk=False
    )
    changes = []
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            for i, j in zip(range(old_start, old_end), range(new_start, new_end), strict=True):
                changes.append(KernelChange(old.kernels[i], old_ns[i], new_ns[j], i, j))
            continue
        for i in range(old_start, old_end):
            changes.append(KernelChange(old.kernels[i], old_ns[i], 0.0, i, None))
        for j in range(new_start, new_end):
            changes.append(KernelChange(new.kernels[j], 0.0, new_ns[j], None, j))
    return sorted(changes, key=lambda change: -abs(change.change_ns))
