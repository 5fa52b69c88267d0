"""Pure rules for when a device is cool enough to be visited.

The lab asks the device and waits, and not the agent: a wait of the agent's would count against
the visit's deadline, and the lab could neither report it nor stop it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from latlab.domain.measurement import Conditions

# Conditions hold the temperature of the hottest zone, mostly a processor's die. At rest it is 25
# to 50 °C, by device and room. Clocks fall from about 70 °C (phones) to 95 °C (servers) on. A
# load of seconds adds 5 to 10 °C, which are gone as quickly. So no absolute temperature shows
# heat that has built up, but a rise by 15 °C above the device's own temperature at rest does.
MAX_RISE_C = 15.0
MAX_WAIT_S = 120.0
POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class RestHeat:
    """The heat of a device at rest, as far as it was seen.

    Attributes:
        temperature_c: The lowest temperature of its hottest zone, in °C.
        throttled: Whether it reports at rest that it is throttled.
    """

    temperature_c: float = math.inf
    throttled: bool = False


def is_hot(now: Conditions, rest: RestHeat, max_c: float = math.inf) -> bool:
    """Return whether the device should cool before a visit.

    Args:
        now: The device's present conditions. Without a temperature it is never hot.
        rest: Its heat at rest.
        max_c: The owner's limit in °C, whatever the device's temperature at rest is.
    """
    throttled = now.throttled is True and not rest.throttled
    limit_c = min(rest.temperature_c + MAX_RISE_C, max_c)
    return throttled or (now.temperature_c is not None and now.temperature_c > limit_c)


def learn(rest: RestHeat, now: Conditions) -> RestHeat:
    """Return the device's heat at rest after new conditions: the coolest ones so far count."""
    temperature_c = math.inf if now.temperature_c is None else now.temperature_c
    return RestHeat(
        min(rest.temperature_c, temperature_c), rest.throttled and now.throttled is True
    )


def at_rest(now: Conditions) -> RestHeat:
    """Return the device's heat at rest, from its conditions after MAX_WAIT_S without a visit.

    The device gets no cooler than this, on a warmer day for example. Waiting as long before
    every visit would change nothing.
    """
    return learn(RestHeat(throttled=True), now)
