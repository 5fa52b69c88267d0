"""A real adb server of a test's own, on a port and with keys of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.virtual_phone.phone import NoPhone

TIMEOUT_S = 30.0


class AdbServer:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._environment = {
            **os.environ,
            "HOME": str(folder),  # of its keys
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",  # looks for no emulator
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["adb", "nodaemon", "server"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + TIMEOUT_S
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            assert time.monotonic() < deadline_s, "adb's server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
            self._process = None

    def connect(self, serial: str) -> None:
        """As plugging in a phone does, whose adbd may still be starting."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while "connected to" not in (told := self.run("connect", serial)):
            assert time.monotonic() < deadline_s, told
            time.sleep(0.05)

    def disconnect(self, serial: str) -> None:
        """As pulling the cable does: the server is told at once."""
        self.run("disconnect", serial)

    def reconnect(self, serial: str) -> None:
        self.disconnect(serial)
        self.connect(serial)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["adb", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.stdout + done.stderr


@contextlib.contextmanager
def adb_server(folder: Path) -> Iterator[AdbServer]:
    """Raises NoPhone where adb is not installed."""
    if shutil.which("adb") is None:
        raise NoPhone("adb is not installed: apt install adb")
    server = AdbServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
