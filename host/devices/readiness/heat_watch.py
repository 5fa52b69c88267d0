"""Wait until a device is cool enough to be visited."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from host.agent.client import AgentClient
from host.devices.readiness import heat_rule
from latlab.domain.measurement import Conditions, Visit

# The conditions after a visit that ended so recently need not be asked for again.
FRESH_S = 1.0
HEAT_UNKNOWN = "heat unknown"


class HeatWatch:
    """Watches the heat of one device for its worker.

    Attributes:
        max_c: The owner's limit in °C.
        answer_s: How long the device last took to answer with its conditions.
        is_unknown: True if its last answer held neither a temperature nor whether it is
            throttled; False before the first answer.
    """

    def __init__(self) -> None:
        self.max_c = math.inf
        self.answer_s = 0.0
        self.is_unknown = False
        self._rest = heat_rule.RestHeat()
        self._latest: tuple[float, Conditions] | None = None
        self._now: Conditions | None = None  # the newest reading

    @property
    def temperature_c(self) -> float | None:
        """The temperature of the hottest zone when it was last read, in °C; None if unknown."""
        return None if self._now is None else self._now.temperature_c

    @property
    def remark(self) -> str:
        """A remark on the device's heat, for people; empty if it is known."""
        return HEAT_UNKNOWN if self.is_unknown else ""

    def connected(self, agent: AgentClient) -> None:
        """Note whether a device that has just answered reports its heat. Raises Unavailable."""
        self._ask(agent)

    def visited(self, visit: Visit) -> None:
        """Note the conditions after a visit that has just ended."""
        self._latest = time.monotonic(), visit.after
        self._now = visit.after

    def wait(
        self, agent: AgentClient, stopping: threading.Event, on_hot: Callable[[], None]
    ) -> None:
        """Wait until the device is cool or has rested for long enough. Raises Unavailable.

        Args:
            agent: The device's agent, which is asked for its conditions.
            stopping: Ends the wait when it is set.
            on_hot: Is called while the device is too hot.
        """
        now_s = time.monotonic()
        rested_s = now_s + heat_rule.MAX_WAIT_S
        if self._latest is not None and now_s - self._latest[0] < FRESH_S:
            now = self._latest[1]
        else:
            now = self._ask(agent)
        self._rest = heat_rule.learn(self._rest, now)
        while heat_rule.is_hot(now, self._rest, self.max_c):
            on_hot()
            if stopping.wait(heat_rule.POLL_S):
                return
            now = self._ask(agent)
            if time.monotonic() >= rested_s:
                self._rest = heat_rule.at_rest(now)
                return
            self._rest = heat_rule.learn(self._rest, now)

    def _ask(self, agent: AgentClient) -> Conditions:
        asked_s = time.monotonic()
        now = agent.read_conditions()
        self.answer_s = time.monotonic() - asked_s
        self.is_unknown = not now.heat_is_known
        self._now = now
        return now
