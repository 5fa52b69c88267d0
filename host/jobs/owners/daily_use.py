"""The use that each owner has made of something within the last 24 hours."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable

DAY_S = 24 * 3_600.0
# Uses within so many seconds are kept as one, so that memory is bounded. It expires with the last.
STEP_S = 60.0


class DailyUse:
    """Amounts by owner, each of which counts for 24 hours. They are lost when the daemon ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing.

        Args:
            clock: Returns the time in seconds.
        """
        self._clock = clock
        # By owner: when the use began to count, when it last grew, and how much it is.
        self._uses: dict[str, deque[list[float]]] = defaultdict(deque)

    def add(self, owner: str, amount: float) -> None:
        """Add what an owner has used just now."""
        now_s, uses = self._clock(), self._uses[owner]
        if uses and now_s < uses[-1][0] + STEP_S:
            uses[-1][1:] = [now_s, uses[-1][2] + amount]
        else:
            uses.append([now_s, now_s, amount])

    def used(self, owner: str) -> float:
        """Return how much an owner has used within 24 hours."""
        return sum(amount for _, _, amount in reversed(self._current(owner)))

    def wait_s(self, owner: str, most: float) -> float:
        """Return after how many seconds the owner's use is at most `most`; 0 if it is now."""
        kept = 0.0
        for _, last_s, amount in reversed(self._current(owner)):
            kept += amount
            if kept > most:
                return max(0.0, last_s + DAY_S - self._clock())
        return 0.0

    def _current(self, owner: str) -> deque[list[float]]:
        uses = self._uses[owner]
        while uses and uses[0][1] + DAY_S <= self._clock():
            uses.popleft()
        return uses
