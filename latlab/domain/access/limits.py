"""How much of the lab each owner may use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from latlab.domain.access.token import LOCAL_OWNER


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the lab one owner may use. Infinity is no limit.

    Attributes:
        calls_per_s: Calls in a second, on average. The calls of one second may come at once.
        open_jobs: Jobs that wait or are measured at the same time.
        upload_mb_per_day: Size of the programs that are uploaded within 24 hours, in MB of 10^6
            bytes.
        device_minutes_per_day: Time for which devices run the owner's visits within 24 hours.
    """

    calls_per_s: float = math.inf
    open_jobs: float = math.inf
    upload_mb_per_day: float = math.inf
    device_minutes_per_day: float = math.inf


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """The limits of all owners.

    Attributes:
        default: Those of an owner without limits of its own. The owner of the lab itself has none,
            for nobody is to lock himself out.
        by_owner: The limits of owners, by name.
    """

    default: Limits = NO_LIMITS
    by_owner: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, owner: str) -> Limits:
        """Return an owner's limits."""
        return self.by_owner.get(owner, NO_LIMITS if owner == LOCAL_OWNER else self.default)


UNLIMITED = OwnerLimits()
