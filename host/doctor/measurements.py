"""Check the stored measurements: find those that are unusable."""

from __future__ import annotations

from collections.abc import Iterator

from host.doctor.finding import Finding, Level
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.errors import Unavailable

CHECK = "measurements"
SHOWN = 20
TIMEOUT_S = 15.0  # the daemon reads every measurement; less than a check may take


def check_measurements(home: LabHome) -> Iterator[Finding]:
    """Check the measurements through the daemon, since only it opens the database."""
    try:
        client = LatencyClient.connect(home.root)
    except Unavailable:
        found = "not checked, since the lab is not running"
        yield Finding(CHECK, Level.WARNING, found, "latlab lab up, then latlab doctor")
        return
    with client:
        yield from measurement_findings(client)


def measurement_findings(client: LatencyClient) -> Iterator[Finding]:
    """Yield a finding for each unusable measurement that nobody has excluded."""
    unusable = client.stored.list(limit=SHOWN + 1, only_unusable=True, timeout_s=TIMEOUT_S)
    count = 0
    try:
        for count, stored in enumerate(unusable, start=1):
            if count > SHOWN:
                fix = "latlab measurements list --unusable --all"
                yield Finding(CHECK, Level.WARNING, "there are more unusable measurements", fix)
                return
            target = f"{stored.target} ({stored.target_id})"
            yield Finding(
                CHECK,
                Level.WARNING,
                f"{stored.id} of {target} is unusable: {stored.unusable}",
                "measure its network again, then"
                f' latlab measurements exclude {stored.id[:12]} --why "damaged"',
            )
    except Unavailable:
        found = f"only some of them could be read in {TIMEOUT_S:g} s"
        yield Finding(CHECK, Level.WARNING, found, "latlab doctor: it goes on from there")
        return
    if count == 0:
        yield Finding(CHECK, Level.OK, "all stored measurements can be used")
