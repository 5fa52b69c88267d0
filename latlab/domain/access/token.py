"""Tokens: who may use the lab, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Who calls with the lab's own token, which lies in its folder: the user who runs the lab.
LOCAL_OWNER = "local"


class Scope(Enum):
    """A permission of a token. Each allows what it says and nothing else, but for ADMIN.

    Attributes:
        READ: See targets, devices, the queue, jobs of one's own, and measurements.
        PREDICT: Predict latencies.
        MEASURE: Upload programs, measure them, and cancel measurements of one's own.
        OPERATE: Change devices, sentinels, baselines and exclusions, and cancel anybody's
            measurements.
        ADMIN: Everything, also the tokens.
    """

    READ = "read"
    PREDICT = "predict"
    MEASURE = "measure"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token without its secret.

    Attributes:
        id: The token's id.
        owner: The person or project whose jobs, limits and turns the token's calls count for.
        scopes: What it allows.
        created_unix_ns: When it was made, in ns since 1970.
        expires_unix_ns: From when on it is refused; None if it does not expire.
        revoked_unix_ns: Since when it is refused; None if it was not revoked.
        note: What it is for, in words; may be empty.
    """

    id: str
    owner: str
    scopes: frozenset[Scope]
    created_unix_ns: int
    expires_unix_ns: int | None = None
    revoked_unix_ns: int | None = None
    note: str = ""

    def allows(self, scope: Scope) -> bool:
        """Return whether the token's scopes include this one."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
