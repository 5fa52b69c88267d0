"""The stored measurements: which of them are of no use."""

from __future__ import annotations

from collections.abc import Iterator

from host.client import LatencyClient
from host.doctor.finding import Finding, Level
from host.errors import Unavailable
from host.home import LabHome

SHOWN = 20
TIMEOUT_S = 15.0  # every measurement is read; less than the doctor gives a check


def check_measurements(home: LabHome) -> Iterator[Finding]:
    """Asks the daemon, since no other opens the database while it runs. Without one nothing is
    found: `check_daemon` says that it does not run."""
    try:
        with LatencyClient.connect(home) as client:
            yield from measurement_findings(client)
    except Unavailable as error:
        found = f"not all were looked at: {error}"
        yield Finding("measurements", Level.WARNING, found, "latlab lab up; then ask again")


def measurement_findings(client: LatencyClient) -> Iterator[Finding]:
    """One for each measurement of no use that nobody has excluded. Raises Unavailable."""
    unusable = list(client.stored.list(limit=SHOWN + 1, only_unusable=True, timeout_s=TIMEOUT_S))
    for stored in unusable[:SHOWN]:
        yield Finding(
            "measurements",
            Level.WARNING,
            f"{stored.id} of {stored.target} ({stored.target_id}) is set aside: {stored.unusable}",
            "measure its network again, then"
            f' latlab measurements exclude {stored.id[:12]} --why "damaged"',
        )
    if len(unusable) > SHOWN:
        mend = "latlab measurements list --unusable --all"
        yield Finding("measurements", Level.WARNING, "and more of them", mend)
    if not unusable:
        yield Finding("measurements", Level.OK, "all that are stored can be used")
