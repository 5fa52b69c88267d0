"""Decide whether and when a call that failed is made again, for both clients."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

import grpc

from latlab.convert.errors import from_daemon, is_from_server, retry_s
from latlab.domain.errors import DatabaseBusy

MAX_CALLS = 5
MAX_WAIT_S = 30.0  # in total, for one call
FIRST_WAIT_S = 0.2
JITTER = 0.5  # share of a wait that is random, so that many clients do not come at once


class Repeat(Enum):
    """The rule by which a call may be made again after it has failed.

    Attributes:
        NEVER: Its requests cannot be sent twice, or it takes long.
        IF_REFUSED: It changes something, so only if the lab has refused it before it did anything.
        YES: Twice has the same effect as once.
    """

    NEVER = "never"
    IF_REFUSED = "if refused"
    YES = "yes"


class Retries:
    """The attempts of one call, within its deadline.

    A call is made again if the lab has refused it for now and has said when to ask again
    (RESOURCE_EXHAUSTED with RetryInfo), or if it may be repeated and the lab could not be reached
    or its database is away (UNAVAILABLE).
    """

    def __init__(
        self,
        timeout_s: float,
        repeat: Repeat,
        *,
        reconnects: bool = True,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the first attempt.

        Args:
            timeout_s: The deadline of all attempts together.
            repeat: Whether the call may be made again.
            reconnects: Whether a lab that does not answer may be back at the same address.
            chance: Returns a number from 0 to 1.
            clock: Returns the present time in s.
        """
        self._repeat = repeat
        self._reconnects = reconnects
        self._chance = chance
        self._clock = clock
        self._deadline_s = clock() + timeout_s
        self._waited_s = 0.0
        self._calls = 1

    def left_s(self) -> float:
        """Return the time that is left until the deadline, at least a millisecond."""
        return max(1e-3, self._deadline_s - self._clock())

    def wait_s(self, error: Any) -> float | None:  # noqa: ANN401 -- grpc.RpcError
        """Return how long to wait before the next attempt; None if there is none."""
        wait_s = self._wanted_s(error)
        if wait_s is None or self._calls >= MAX_CALLS:
            return None
        if self._waited_s + wait_s > MAX_WAIT_S or wait_s >= self.left_s():
            return None
        self._calls += 1
        self._waited_s += wait_s
        return wait_s

    def _wanted_s(self, error: Any) -> float | None:  # noqa: ANN401 -- as above
        if self._repeat is Repeat.NEVER:
            return None
        told_s = retry_s(error)
        later = 1 + JITTER * self._chance()
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return None if told_s is None else told_s * later
        if error.code() is not grpc.StatusCode.UNAVAILABLE or self._repeat is not Repeat.YES:
            return None
        if told_s is not None:
            return told_s * later
        if is_from_server(error):
            if not isinstance(from_daemon(error), DatabaseBusy):  # a device is away, say
                return None
        elif not self._reconnects:
            return None
        return FIRST_WAIT_S * 2.0 ** (self._calls - 1) * (1 - JITTER * self._chance())
