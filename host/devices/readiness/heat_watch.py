"""Waiting until a device is cool enough to be visited."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from host.agent.client import AgentClient
from host.devices.readiness import heat_rule
from latlab.domain.measurement import Conditions, Visit

# Conditions this young need not be asked for again: those of the visit before.
FRESH_S = 1.0


class Cooling:
    """Of one device, kept by its worker. max_c: the owner's own limit. answer_s: how long the
    device took to tell its conditions, last."""

    def __init__(self) -> None:
        self.max_c = math.inf
        self.answer_s = 0.0
        self._idle = heat_rule.Idle()
        self._shown: tuple[float, Conditions] | None = None

    def visited(self, visit: Visit) -> None:
        self._shown = time.monotonic(), visit.after

    def wait(
        self, agent: AgentClient, stopping: threading.Event, on_hot: Callable[[], None]
    ) -> None:
        """Until the device is cool or has rested long enough; its conditions tell which.
        `on_hot` is told once it waits. Raises Unavailable."""
        now_s = time.monotonic()
        rested_s = now_s + heat_rule.MAX_WAIT_S
        if self._shown is not None and now_s - self._shown[0] < FRESH_S:
            now = self._shown[1]
        else:
            now = self._ask(agent)
        self._idle = heat_rule.learn(self._idle, now)
        while heat_rule.is_hot(now, self._idle, self.max_c):
            on_hot()
            if stopping.wait(heat_rule.POLL_S):
                return
            now = self._ask(agent)
            if time.monotonic() >= rested_s:
                self._idle = heat_rule.at_rest(now)
                return
            self._idle = heat_rule.learn(self._idle, now)

    def _ask(self, agent: AgentClient) -> Conditions:
        asked_s = time.monotonic()
        now = agent.read_conditions()
        self.answer_s = time.monotonic() - asked_s
        return now
