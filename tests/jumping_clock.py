"""Clocks that jump: the wall clock of daemons that a test starts, and never this machine's.

Debian's faketime would do, but its library makes `time.sleep` fail (EINVAL, version 0.9.10) where
the times since boot are to stay true, as they do when a real clock jumps.
"""

from __future__ import annotations

from pathlib import Path

# Not time.time: gRPC for Python adds its timeouts to it, and compares the sum with the true time.
_CODE = """
import time
def jumped_ns(true_ns=time.time_ns):
    with open({file!r}) as offset_ns:
        return true_ns() + int(offset_ns.read())
time.time_ns = jumped_ns
"""


class JumpingClock:
    """The wall clock of processes that run `code` before anything else.

    It shows the true time until it is told to jump.
    """

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock_offset_ns"
        self.jump(0)
        self.code = _CODE.format(file=str(self._offset))

    def jump(self, ahead_s: int) -> None:
        """From now on the clock is so far ahead of this machine's."""
        draft = self._offset.with_suffix(".new")
        draft.write_text(str(ahead_s * 10**9))
        draft.replace(self._offset)
