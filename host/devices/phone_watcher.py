"""Phones as they are plugged in: adb tells of each that comes and goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import adbutils
from adbutils import AdbClient, AdbError, AdbTimeout

from host.devices.fleet import Fleet
from host.devices.transports.adb import CALL_TIMEOUT_S, AdbTransport

log = logging.getLogger(__name__)

LISTEN_S = 60.0  # for an event; then adb is asked anew, which shows that it lives
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after each failure, the last one for ever
FIRST_LIST_S = 10.0


class Phones(threading.Thread):
    """Adds a transport to the fleet for every phone that adb knows and whose serial `takes`
    takes, in whatever state: one that cannot be used is then shown with the reason. Starts
    adb's server where none runs. Where there is no adb there are no phones."""

    def __init__(self, fleet: Fleet, bundles: Path, takes: Callable[[str], bool]) -> None:
        super().__init__(name="phones", daemon=True)
        self._fleet = fleet
        self._bundles = bundles
        self._takes = takes
        self._states: dict[str, str] = {}  # by adb's serial, as it told last
        self._listed = threading.Event()

    def start(self) -> None:
        """Returns when the phones that are plugged in are in the fleet, or adb is slow."""
        super().start()
        self._listed.wait(FIRST_LIST_S)

    def run(self) -> None:
        failures = 0
        while self._has_adb():
            try:
                for phone in AdbClient(socket_timeout=CALL_TIMEOUT_S).list():
                    self._note(phone.serial, phone.state)
                self._listed.set()
                failures = 0
                for event in AdbClient(socket_timeout=LISTEN_S).track_devices():
                    self._note(event.serial, event.status)
            except AdbTimeout:
                continue
            except Exception as error:  # adbutils tells of a lost server in many ways
                if failures == 0:
                    log.warning("adb does not answer, and is asked again: %s", error)
                self._states.clear()
                time.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1

    def _has_adb(self) -> bool:
        try:
            adbutils.adb_path()
        except AdbError:
            log.info("no adb on this machine, so no phones: apt install adb")
            self._listed.set()
            return False
        return True

    def _note(self, serial: str, state: str) -> None:
        """Its worker connects anew whenever the state changes, also to "absent"."""
        if self._takes(serial) and self._states.get(serial) != state:
            self._states[serial] = state
            log.info("phone %s: %s", serial, state)
            self._fleet.add(AdbTransport(serial, self._bundles))
