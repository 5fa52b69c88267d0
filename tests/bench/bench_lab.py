"""lab.plug_in_s, lab.first_plug_in_s: from plugging in a virtual phone to its registration.

The bundle is that of `build/bundle` if it exists. Otherwise a stand-in of the same size borrows
this machine's Python.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from host.devices.transports.adb import HOME
from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from tests.bench.figures import at_most, report
from tests.virtual_phone.phone import DATA_BYTES, NoPhone
from tests.virtual_phone.phone_lab import PhoneLab, lab_with_phone
from tests.virtual_phone.stand_in_bundle import write_stand_in

ROUNDS = 5
BALLAST_BYTES = 85_000_000


def plug_in_s(phone_lab: PhoneLab, client: LatencyClient, is_first: bool) -> float:
    """Return the seconds after a reboot, when the agent has to be started again."""
    phone_lab.unplug(client)
    phone_lab.phone.reboot()
    if is_first:
        phone_lab.phone.shell(f"rm -rf {HOME}")
    time.sleep(1)  # until adbd runs: the time to boot does not count
    start_s = time.monotonic()
    phone_lab.plug_in(client)
    return time.monotonic() - start_s


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name), LabHome.from_environment()
        bundles, kind = home.bundles, "built"
        if not (bundles / "x86_64").is_dir():
            bundles, kind = folder / "bundles", "stand-in"
            write_stand_in(bundles, home.runner, BALLAST_BYTES)
        files = [path for path in (bundles / "x86_64").rglob("*") if path.is_file()]
        conditions = {
            "bundle": kind,
            "bundle_mb": round(sum(path.stat().st_size for path in files) / 1e6),
            "rounds": ROUNDS,
        }
        try:
            with lab_with_phone(folder, bundles, DATA_BYTES) as phone_lab:
                lab_process.up(phone_lab.home)
                with LatencyClient.connect(phone_lab.home.root) as client:
                    phone_lab.plug_in(client)
                    for figure, is_first, goal in (
                        ("lab.plug_in_s", False, at_most(3)),
                        ("lab.first_plug_in_s", True, at_most(20)),
                    ):
                        took_s = [plug_in_s(phone_lab, client, is_first) for _ in range(ROUNDS)]
                        report(
                            figure,
                            round(statistics.median(took_s), 2),
                            "s",
                            goal,
                            worst_s=round(max(took_s), 2),
                            **conditions,
                        )
        except NoPhone as reason:
            print(f"no figures of plugging in: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
