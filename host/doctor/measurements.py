"""The stored measurements: which of them are of no use."""

from __future__ import annotations

from collections.abc import Iterator

from host.doctor.finding import Finding, Level
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.errors import Unavailable

CHECK = "measurements"
SHOWN = 20
TIMEOUT_S = 15.0  # every measurement is read; less than the doctor gives a check


def check_measurements(home: LabHome) -> Iterator[Finding]:
    """Asks the daemon: while it runs, no other opens the database."""
    try:
        client = LatencyClient.connect(home.root)
    except Unavailable:
        found = "not looked at, since the lab is not running"
        yield Finding(CHECK, Level.WARNING, found, "latlab lab up, then ask again")
        return
    with client:
        yield from measurement_findings(client)


def measurement_findings(client: LatencyClient) -> Iterator[Finding]:
    """One for each measurement of no use that nobody has excluded."""
    unusable = client.stored.list(limit=SHOWN + 1, only_unusable=True, timeout_s=TIMEOUT_S)
    count = 0
    try:
        for count, stored in enumerate(unusable, start=1):
            if count > SHOWN:
                mend = "latlab measurements list --unusable --all"
                yield Finding(CHECK, Level.WARNING, "there are more of them", mend)
                return
            of = f"{stored.target} ({stored.target_id})"
            yield Finding(
                CHECK,
                Level.WARNING,
                f"{stored.id} of {of} is set aside: {stored.unusable}",
                "measure its network again, then"
                f' latlab measurements exclude {stored.id[:12]} --why "damaged"',
            )
    except Unavailable:
        found = f"not all of them could be read in {TIMEOUT_S:g} s"
        yield Finding(CHECK, Level.WARNING, found, "ask again: it goes on from there")
        return
    if count == 0:
        yield Finding(CHECK, Level.OK, "all that are stored can be used")
