"""Whether a device is cool enough to be visited. Pure functions.

The lab asks the device and waits, not the agent: there a wait would eat into the visit's
deadline, and the lab could neither say that it waits nor stop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from latlab.domain.measurement import Conditions

# Conditions tell the hottest zone, mostly a processor's die. Left alone it stands at 25 to
# 50 °C, by device and room, and clocks fall from about 70 (phones) to 95 °C (servers) on; a
# load of seconds adds 5 to 10 °C, which are gone as quickly. So not any one temperature
# tells heat that has built up, but 15 °C above the device's own do.
MAX_RISE_C = 15.0
MAX_WAIT_S = 120.0
POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What a device shows when it is left alone, as far as was seen."""

    temperature_c: float = math.inf
    throttled: bool = False


def is_hot(now: Conditions, idle: Idle, max_c: float = math.inf) -> bool:
    """`max_c`: the owner's own limit, whatever the device is like at rest. False where the
    device has no sensors: then nothing can be waited for."""
    throttled = now.throttled is True and not idle.throttled
    limit_c = min(idle.temperature_c + MAX_RISE_C, max_c)
    return throttled or (now.temperature_c is not None and now.temperature_c > limit_c)


def learn(idle: Idle, now: Conditions) -> Idle:
    """From conditions at whatever time: what is cooler is nearer to idle."""
    temperature_c = math.inf if now.temperature_c is None else now.temperature_c
    return Idle(min(idle.temperature_c, temperature_c), idle.throttled and now.throttled is True)


def at_rest(now: Conditions) -> Idle:
    """From conditions after MAX_WAIT_S without a visit: the device gets no cooler than this,
    on a warmer day, say, and waiting as long before every visit would change nothing."""
    return learn(Idle(throttled=True), now)
