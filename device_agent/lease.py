"""Decide which lab may run visits on the device."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from device_agent.machine.conditions import read_int
from latlab.common.files import read_regular, replacing
from latlab.domain.errors import InvalidRequest, LeaseLost
from latlab.v1.device_agent_pb2 import RunRequest

MAX_LEASE_S = 3_600.0
UNSAID_LEASE_S = 60.0  # hosts of version 0.1 do not say for how long their leases last
MAX_DATABASES = 16
_MAX_NAME_CHARS = 64
_MAX_FILE_BYTES = 1 << 16


class LeaseGuard:
    """Keeps the present lease, and the highest token of each database.

    A token lower than one seen of its database is refused. The tokens are kept in a file, because
    this must outlive the agent. Tokens of different databases do not compare. So a lab on another
    database waits until the present lease is over, by the time since boot. It need not wait if it
    is the lab that has the present lease, because then it has replaced its database. A lease ends
    with the agent, with which every visit ends.

    The caller allows one call at a time.
    """

    def __init__(self, state_directory: Path) -> None:
        self._file = state_directory / "lease_tokens.json"
        self._tokens = _read_tokens(self._file)
        if not self._tokens:  # version 0.1 kept one token, of a database that it could not name
            self._tokens = {"": read_int(state_directory / "lease_token") or 0}
        self._database: str | None = None
        self._holder = ""
        self._expires_s = 0.0

    def take(self, request: RunRequest) -> bool:
        """Make the request's lease the present one.

        Returns whether it took the device over. Raises LeaseLost, and InvalidRequest for a name
        that is too long.
        """
        database, holder, token = request.lease_database, request.lease_holder, request.lease_token
        if max(len(database), len(holder)) > _MAX_NAME_CHARS:
            raise InvalidRequest(
                f"lease_database and lease_holder: up to {_MAX_NAME_CHARS} characters each"
            )
        highest = self._tokens.get(database, 0)
        if token < highest:
            raise LeaseLost(f"lease token {token} is lower than {highest}, seen before")
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        left_s = self._expires_s - now_s
        is_other_lab = database != self._database and (not holder or holder != self._holder)
        if is_other_lab and left_s > 0:
            raise LeaseLost(f"a lab on another database has a lease for {left_s:.0f} s more")
        is_taken_over = token > highest or database != self._database
        if token > highest:
            self._keep(database, token)
        self._database, self._holder = database, holder
        lease_s = min(request.lease_left_ns / 1e9, MAX_LEASE_S) or UNSAID_LEASE_S
        self._expires_s = now_s + max(lease_s, request.spec.deadline_ns / 1e9)
        return is_taken_over

    def end(self) -> None:
        """End the present lease."""
        self._expires_s = 0.0

    def _keep(self, database: str, token: int) -> None:
        self._tokens.pop(database, None)  # the newest is last
        self._tokens[database] = token
        self._tokens = dict(list(self._tokens.items())[-MAX_DATABASES:])
        with replacing(self._file, mode=0o600) as draft:
            draft.write_text(json.dumps(self._tokens))


def _read_tokens(file: Path) -> dict[str, int]:
    """Return the highest token of each database; none if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        tokens = json.loads(read_regular(file, _MAX_FILE_BYTES))
        return {database: int(token) for database, token in tokens.items()}
    return {}
