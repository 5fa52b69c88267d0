"""A worker's lease of its device, which excludes other labs.

The database excludes labs that share it. The agent excludes those on other databases.
"""

from __future__ import annotations

import time

from host.database import devices as device_rows
from host.database.engine import Database
from latlab.domain.errors import LeaseLost
from latlab.domain.job import Lease

# A lease is renewed when less time is left than any visit may take.
LEASE_NS = 900 * 10**9
LEASE_LEFT_NS = 700 * 10**9


class DeviceLease:
    """The lease of one device. `holder` names the lab that holds it."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._lease: Lease | None = None

    def renew(self, serial: str) -> Lease:
        """Return a lease that lasts for a visit. Raises LeaseLost if another lab has the device."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps
        held = self._lease
        if (
            held is not None
            and held.device_serial == serial
            and held.expires_boot_ns - now_ns > LEASE_LEFT_NS
        ):
            return held
        with self._database.writing() as connection:
            token = device_rows.acquire_lease(connection, serial, self._holder, LEASE_NS)
        if token is None:
            raise LeaseLost(f"{serial} is leased to another lab on this database")
        self._lease = Lease(serial, self._database.id, self._holder, token, now_ns + LEASE_NS)
        return self._lease

    def lose(self) -> None:
        """Forget the lease, since another lab has taken the device."""
        self._lease = None

    def release(self) -> None:
        """End the lease, so that others can use the device; harmless if there is none."""
        if self._lease is not None:
            with self._database.writing() as connection:
                device_rows.release_lease(connection, self._lease.device_serial, self._lease.token)
            self._lease = None
