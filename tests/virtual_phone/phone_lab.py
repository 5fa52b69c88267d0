"""A lab with a phone: the real daemon, adb server, adbd and agent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.device import DevicePhase, DeviceStatus
from latlab.domain.errors import Unavailable
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import wait_until
from tests.virtual_phone.adb_server import AdbServer, adb_server
from tests.virtual_phone.phone import VirtualPhone, virtual_phone
from tests.virtual_phone.stand_in_bundle import LEDGER

DATA_BYTES = 256 << 20  # of the phone's storage
SPEC = BenchmarkSpec(
    visit=VisitSpec(warmup_runs=2, warmup_ns=0, timed_runs=5, timed_ns=0),
    min_visits=1,
    max_visits=3,
    traced_visits=1,
    spacing_ns=0,
)
WAIT_S = 60.0
POLL_S = 0.02


class PhoneLab:
    """A lab, a phone, and adb between them.

    Attributes:
        ledger: What an agent of `tests.faults.recording_agent` on the phone writes down.
        lasting_s: How long faults last that can last.
    """

    lasting_s = 1.0

    def __init__(self, home: LabHome, bundles: Path, adb: AdbServer, phone: VirtualPhone) -> None:
        self.home = home
        self.bundles = bundles
        self.adb = adb
        self.phone = phone
        self.ledger = phone.root / LEDGER.lstrip("/")
        self.ledger.touch()
        self.ledger.chmod(0o666)

    def plug_in(self, client: LatencyClient) -> str:
        """The phone's target of one thread on its fastest cores, once it is registered."""
        self.adb.connect(self.phone.serial)
        status = self.wait_for(client, is_idle)
        return [name for name in status.targets if name.endswith("/1t")][-1]

    def unplug(self, client: LatencyClient) -> None:
        self.adb.disconnect(self.phone.serial)
        self.wait_for(client, lambda status: not is_idle(status))

    def wait_for(
        self,
        client: LatencyClient,
        condition: Callable[[DeviceStatus], bool],
        serial: str | None = None,
    ) -> DeviceStatus:
        name = f"adb:{serial or self.phone.serial}"
        deadline_s = time.monotonic() + WAIT_S
        while True:
            statuses = [status for status in client.devices() if status.transport == name]
            if any(map(condition, statuses)):
                return statuses[0]
            assert time.monotonic() < deadline_s, (
                f"waited in vain: {[str(status.state) for status in statuses]}"
            )
            time.sleep(POLL_S)

    def wait_for_runner(self) -> None:
        wait_until(lambda: self.phone.pids("latlab-runner --program") != [])

    @contextmanager
    def measuring(
        self, target: str, programs: list[ProgramFile], spec: BenchmarkSpec
    ) -> Iterator[list[Outcome]]:
        """Meanwhile; the outcomes are there at the block's end, unless the lab is gone."""
        outcomes: list[Outcome] = []

        def measure() -> None:
            with LatencyClient.connect(self.home.root) as mine, suppress(Unavailable):
                outcomes.extend(mine.measure(target, programs, spec, fresh=True))

        thread = threading.Thread(target=measure)
        thread.start()
        yield outcomes
        thread.join(WAIT_S)
        assert not thread.is_alive()


@contextmanager
def lab_with_phone(folder: Path, bundles: Path, data_bytes: int) -> Iterator[PhoneLab]:
    """The phone runs and is not plugged in, the lab is down. Raises NoPhone."""
    with adb_server(folder) as adb, virtual_phone(data_bytes) as phone:
        settings = {"ANDROID_ADB_SERVER_PORT": str(adb.port), "LATLAB_BUNDLES": str(bundles)}
        home = LabHome(folder / "home")
        with patch.dict(os.environ, settings):
            try:
                yield PhoneLab(home, bundles, adb, phone)
            finally:
                lab_process.down(home)


def is_idle(status: DeviceStatus) -> bool:
    return status.state.phase is DevicePhase.IDLE
