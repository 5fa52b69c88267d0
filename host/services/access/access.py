"""Who may use the lab: its tokens, the limits of their owners, and the log of what they do."""

from __future__ import annotations

import threading
import time

from host.database.engine import Database
from host.services.access.audit_log import AuditLog
from host.services.access.authenticator import Authenticator
from host.services.access.call_rates import CallRates, full_bucket
from host.services.access.open_calls import OpenCalls
from latlab.domain.access.limits import UNLIMITED, OwnerLimits

# Calls without a valid token, which anybody can make, are noted in the audit log up to this rate.
STRANGERS_PER_S = 10.0
FLUSH_S = 2.0


class Access:
    """The rules that decide about each call of the daemon's API.

    Attributes:
        database: Holds tokens and audit log.
        authenticator: Finds the token of a call.
        call_rates: How often each owner calls.
        open_calls: The calls that are served now.
        audit_log: Where calls are noted.
    """

    def __init__(
        self, database: Database, local_secret: str, limits: OwnerLimits = UNLIMITED
    ) -> None:
        """Start the threads that end calls and write the audit log.

        Args:
            database: Holds tokens and audit log.
            local_secret: The secret of the lab's own token.
            limits: How often each owner may call.
        """
        self.database = database
        self.authenticator = Authenticator(database, local_secret)
        self.call_rates = CallRates(limits)
        self.open_calls = OpenCalls(self.authenticator)
        self.audit_log = AuditLog(database)
        self._strangers = full_bucket(STRANGERS_PER_S, time.monotonic())
        self._lock = threading.Lock()

    def notes_strangers(self) -> bool:
        """Return whether to note one more call without a valid token."""
        with self._lock:
            return not self._strangers.wait_s(time.monotonic())

    def close(self) -> None:
        """Write the rest of the audit log, and stop the threads. The server must have stopped."""
        self.open_calls.close()
        self.audit_log.close()
