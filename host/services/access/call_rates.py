"""Limit how often an owner calls the lab."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from latlab.domain.access.limits import OwnerLimits
from latlab.domain.errors import LimitReached


@dataclass
class TokenBucket:
    """A bucket that holds the calls of one second, and fills at a steady rate.

    Attributes:
        per_s: How many calls come to it in a second.
        held: How many it holds now.
        at_s: When that was so.
    """

    per_s: float
    held: float
    at_s: float

    def wait_s(self, now_s: float) -> float:
        """Take a call, and return 0; or return after how many seconds there will be one."""
        self.held = min(max(1.0, self.per_s), self.held + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.held < 1.0:
            return (1.0 - self.held) / self.per_s
        self.held -= 1.0
        return 0.0


def full_bucket(per_s: float, now_s: float) -> TokenBucket:
    """Return a bucket that holds the calls of one second, and at least one."""
    return TokenBucket(per_s, max(1.0, per_s), now_s)


class CallRates:
    """The calls of each owner, by all its tokens together."""

    def __init__(self, limits: OwnerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """Count no call yet.

        Args:
            limits: How many calls each owner may make.
            clock: Returns the time in seconds.
        """
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, owner: str) -> None:
        """Count a call of the owner. Raises LimitReached if it comes too soon."""
        per_s = self._limits.of(owner).calls_per_s
        if per_s == math.inf:
            return
        with self._lock:
            now_s = self._clock()
            bucket = self._buckets.setdefault(owner, full_bucket(per_s, now_s))
            wait_s = bucket.wait_s(now_s)
        if wait_s:
            raise LimitReached(
                f"{owner} may make {per_s:g} calls a second, by all tokens together: call again in"
                f" {wait_s:.2g} s, or ask the lab's owner for more (calls_per_s in lab.toml)",
                wait_s,
            )
