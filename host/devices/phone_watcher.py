"""Add phones to the fleet when they are plugged in; adb reports each that comes and goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import adbutils
from adbutils import AdbClient, AdbError, AdbTimeout

from host.devices.fleet import Fleet
from host.devices.transports.adb import ABSENT, CALL_TIMEOUT_S, AdbTransport
from latlab.domain.errors import NotReady

log = logging.getLogger(__name__)

LISTEN_S = 60.0  # without an event; then adb is asked again, which shows that it lives
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after each failure in a row; the last one repeats
FIRST_LIST_S = 10.0


class PhoneWatcher(threading.Thread):
    """Adds a transport to the fleet for each phone that adb knows.

    A phone that cannot be used is added too, so that it is shown with the reason. adb's server
    is started if none runs. Without adb there are no phones.

    Args:
        fleet: The lab's devices.
        bundles: A folder with the agent's bundle for each ABI.
        takes: Says whether the lab uses the phone of a serial.
    """

    def __init__(self, fleet: Fleet, bundles: Path, takes: Callable[[str], bool]) -> None:
        super().__init__(name="phones", daemon=True)
        self._fleet = fleet
        self._bundles = bundles
        self._takes = takes
        self._states: dict[str, str] = {}  # the last one that adb reported, by adb's serial
        self._listed = threading.Event()

    def start(self) -> None:
        """Start, and return when the phones that are plugged in are in the fleet.

        If adb is slow, return after FIRST_LIST_S.
        """
        super().start()
        self._listed.wait(FIRST_LIST_S)

    def run(self) -> None:
        """Watch the phones that adb reports, until adb is no longer installed."""
        failures = 0
        while self._has_adb():
            try:
                listed = AdbClient(socket_timeout=CALL_TIMEOUT_S).list()
                for phone in listed:
                    self._note(phone.serial, phone.state)
                for serial in self._states.keys() - {phone.serial for phone in listed}:
                    self._note(serial, ABSENT)
                self._listed.set()
                failures = 0
                for event in AdbClient(socket_timeout=LISTEN_S).track_devices():
                    self._note(event.serial, event.status)
            except AdbTimeout:
                continue
            except Exception as error:  # adbutils raises many kinds for a lost server
                if failures == 0:
                    log.warning("adb does not answer, the lab asks again: %s", error)
                self._states = dict.fromkeys(self._states, "")
                time.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1

    def _has_adb(self) -> bool:
        try:
            adbutils.adb_path()
        except AdbError:
            log.info("adb is not installed, so there are no phones: apt install adb")
            self._listed.set()
            return False
        return True

    def _note(self, serial: str, state: str) -> None:
        """Make the phone's worker connect again if adb's word for the phone has changed.

        A phone that is there gets a worker if it has none.
        """
        if not self._takes(serial) or self._states.get(serial, ABSENT) == state:
            return
        log.info("phone %s: %s", serial, state)
        transport = AdbTransport(serial, self._bundles)
        if state == ABSENT:
            del self._states[serial]
            self._fleet.reconnect(transport.name)
            return
        try:
            self._fleet.add(transport)
            self._states[serial] = state
        except NotReady as error:  # it is added when adb is asked the next time
            log.info("%s", error)
