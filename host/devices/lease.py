"""A worker's hold on its device, against other labs on the same database."""

from __future__ import annotations

import time

from host.database import devices as device_rows
from host.database.engine import Database
from latlab.domain.errors import LeaseLost
from latlab.domain.job import Lease

# A lease is renewed when less is left than any visit may take.
LEASE_NS = 900 * 10**9
LEASE_LEFT_NS = 700 * 10**9


class Hold:
    """Of one device. holder: names the lab."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._lease: Lease | None = None

    def renew(self, serial: str) -> Lease:
        """One that lasts for a visit. Raises LeaseLost where another lab has the device."""
        now_unix_ns = time.time_ns()
        held = self._lease
        if held is not None and LEASE_LEFT_NS < held.expires_unix_ns - now_unix_ns <= LEASE_NS:
            return held
        with self._database.writing() as connection:
            lease = device_rows.acquire_lease(
                connection, serial, self._holder, now_unix_ns, LEASE_NS
            )
        if lease is None:
            raise LeaseLost(f"{serial} is leased to another lab on this database")
        self._lease = lease
        return lease

    def lose(self) -> None:
        """Another lab took it."""
        self._lease = None

    def release(self) -> None:
        """Harmless where there is none."""
        if self._lease is not None:
            with self._database.writing() as connection:
                device_rows.release_lease(connection, self._lease)
            self._lease = None
