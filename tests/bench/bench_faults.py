"""lab.jobs_lost, lab.jobs_doubled: jobs on a virtual phone with a fault in the middle of each.

The database shows afterwards which jobs have not ended, and which ended twice.

python -m tests.bench.bench_faults [ROUNDS]: the number of jobs for each fault, by default 10.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.errors import LabError
from latlab.domain.program import ProgramFile
from latlab.export import export_program
from tests.bench.figures import exactly, report
from tests.host.devices.test_phone_watcher import FAULTS, ONE_LONG_VISIT, kill_the_daemon
from tests.host.jobs.job_ends import ends_of_jobs
from tests.virtual_phone.phone import NoPhone
from tests.virtual_phone.phone_lab import DATA_BYTES, PhoneLab, lab_with_phone
from tests.virtual_phone.stand_in_bundle import write_stand_in

ROUNDS = 10
END_TIMEOUT_S = 60.0


def small_program(folder: Path) -> ProgramFile:
    from torch import nn

    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 900, 10))
    program, data = export_program(network.eval(), (1, 3, 32, 32))
    path = folder / "program.pte"
    path.write_bytes(data)
    return ProgramFile(program, path)


def round_of(phone_lab: PhoneLab, program: ProgramFile, fault: Callable[[PhoneLab], None]) -> None:
    """Run one job; it has ended when this returns, or has had END_TIMEOUT_S for it."""
    lab_process.up(phone_lab.home)
    with LatencyClient.connect(phone_lab.home.root) as client:
        target = phone_lab.plug_in(client)
    with suppress(LabError), phone_lab.measuring(target, [program], ONE_LONG_VISIT):
        phone_lab.wait_for_runner()
        fault(phone_lab)
        lab_process.up(phone_lab.home)
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while 0 in ends_of_jobs(phone_lab.home).values() and time.monotonic() < deadline_s:
        time.sleep(0.1)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    faults = [*FAULTS, kill_the_daemon]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stand_in(folder / "bundles", LabHome.from_environment().runner)
        try:
            with lab_with_phone(folder, folder / "bundles", DATA_BYTES) as phone_lab:
                program = small_program(folder)
                for _ in range(rounds):
                    for fault in faults:
                        print(fault.__name__, file=sys.stderr)
                        round_of(phone_lab, program, fault)
                ends = ends_of_jobs(phone_lab.home)
        except NoPhone as reason:
            print(f"no figures of faults: {reason}", file=sys.stderr)
            return
    asked = rounds * len(faults)
    lost = asked - sum(count > 0 for count in ends.values())
    doubled = max(len(ends) - asked, 0) + sum(count > 1 for count in ends.values())
    conditions = {"rounds": rounds, "faults": [fault.__name__ for fault in faults]}
    report("lab.jobs_lost", lost, "jobs", exactly(0), **conditions)
    report("lab.jobs_doubled", doubled, "jobs", exactly(0), **conditions)


if __name__ == "__main__":
    main()
