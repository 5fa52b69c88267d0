"""The real adb: this machine's, or a server of a test's own with a port and keys of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from adbutils import AdbError, adb_path

from tests.virtual_phone.phone import NoPhone

TIMEOUT_S = 30.0
POLL_S = 0.02


class Adb:
    """The adb command, for the server of this machine or, given its environment, another."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = environment

    def connect(self, serial: str) -> None:
        """As plugging in a phone does, whose adbd may still be starting."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while "connected to" not in (told := self.run("connect", serial)):
            assert time.monotonic() < deadline_s, told
            time.sleep(POLL_S)

    def disconnect(self, serial: str) -> None:
        """As pulling the cable does: the server is told at once."""
        self.run("disconnect", serial)

    def reconnect(self, serial: str) -> None:
        self.disconnect(serial)
        self.connect(serial)

    def wait_for(self, serial: str) -> None:
        """Until it answers: a phone is offline for a moment after it is plugged in."""
        self.run("-s", serial, "wait-for-device")

    def run(self, *arguments: str) -> str:
        """What it says, whether it succeeds or not."""
        done = subprocess.run(
            [adb_path(), *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.stdout


class AdbServer(Adb):
    """`folder` is for its keys."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        environment = {
            **os.environ,
            "HOME": str(folder),
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",  # looks for no emulator
        }
        super().__init__(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [adb_path(), "nodaemon", "server"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + TIMEOUT_S
        while not self._listens():
            assert time.monotonic() < deadline_s, "adb's server did not start"
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Also one that a lab has started here since."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs, and is killed below
            self.run("kill-server")
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def adb_server(folder: Path) -> Iterator[AdbServer]:
    """Raises NoPhone where adb is not installed."""
    try:
        adb_path()
    except AdbError as error:
        raise NoPhone("adb is not installed: apt install adb") from error
    server = AdbServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
