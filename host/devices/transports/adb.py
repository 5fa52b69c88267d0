"""A phone over adb: the agent is brought to it and reached through a port that adb forwards.

On the phone everything lies in /data/local/tmp/latlab, where an adb shell may run programs:

bundle-HASH/    the agent's bundle, whole: it gets this name last
incoming/       one that is on its way
state/          the agent's own: its token, of mode 0600, programs, results, its log
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from adbutils import AdbClient, AdbConnection, AdbError

from host.agent.bundle import Bundle
from host.agent.client import AgentClient
from latlab.domain.errors import Unavailable

STORAGE = "/data/local/tmp"
HOME = f"{STORAGE}/latlab"
STATE = f"{HOME}/state"
CALL_TIMEOUT_S = 10.0
PUSH_TIMEOUT_S = 180.0
START_TIMEOUT_S = 20.0
POLL_S = 0.1
CHUNK_BYTES = 1 << 16
MAX_OUTPUT_BYTES = 1 << 20

# What adb says of a phone that it cannot use, and what to do about it.
ADVICE = {
    "unauthorized": "unauthorized: unlock it and allow USB debugging from this computer",
    "offline": "offline, it does not answer adb: unplug it and plug it in again",
    "no permissions": "this user may not open it: apt install android-sdk-platform-tools-common,"
    " then plug it in again",
    "not found": "unplugged: plug it in, with USB debugging allowed",
}


class AdbTransport:
    """`serial` is adb's name for the phone; `bundles` is where a bundle lies for each ABI."""

    shares_host = False
    patience_s = 120.0  # a cable that was pulled is soon plugged in again

    def __init__(self, serial: str, bundles: Path) -> None:
        self.name = f"adb:{serial}"
        self._bundles = bundles
        self._device = AdbClient(socket_timeout=CALL_TIMEOUT_S).device(serial)

    def connect(self) -> AgentClient:
        """Brings the bundle where it is missing and starts the agent where none of it runs.
        Raises Unavailable, saying what to do."""
        with self._explained():
            bundle = Bundle.for_abi(self._bundles, self._shell("getprop ro.product.cpu.abi"))
            home = f"{HOME}/bundle-{bundle.sha256[:16]}"
            self._shell(f"mkdir -p {HOME} && mkdir -p -m 700 {STATE}")
            if self._shell(f"[ -d {home} ] || echo missing"):
                self._bring(bundle, home)
            if (announced := self._announced(home)) is not None:
                with contextlib.suppress(Unavailable):  # it hangs
                    return self._client(*announced)
            self._end_agent()
            return self._client(*self._start_agent(home))

    def stop(self) -> None:
        """Ends the agent, and with it its runner, where the phone can be reached."""
        with contextlib.suppress(Unavailable), self._explained():
            self._end_agent()

    def _bring(self, bundle: Bundle, home: str) -> None:
        """`home` is there, and the only one, when every byte has arrived; else as before."""
        incoming = f"{HOME}/incoming"
        self._shell(f"rm -rf {incoming} && mkdir {incoming}")
        with tempfile.TemporaryFile() as archive:
            bundle.write_archive(archive)
            size_bytes = archive.tell()
            self._check_space(size_bytes + size_bytes // 10)
            archive.seek(0)
            unpack = f"head -c {size_bytes} | tar -xf - -C {incoming}"
            self._shell(unpack, PUSH_TIMEOUT_S, archive)
        list_files = "find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum"
        listed = self._shell(f"cd {incoming} && sync && {list_files}", PUSH_TIMEOUT_S)
        if listed.split()[0] != bundle.digest():
            raise AdbError("the agent's files did not arrive as they were sent")
        self._end_agent()
        self._shell(f"rm -rf {HOME}/bundle-* && mv {incoming} {home} && sync")

    def free_bytes(self) -> int:
        """Where agents and programs go. Raises Unavailable."""
        with self._explained():
            return int(self._shell(f"df -kP {STORAGE} | tail -n 1").split()[-3]) * 1024

    def _check_space(self, needed_bytes: int) -> None:
        free_bytes = self.free_bytes()
        if free_bytes < needed_bytes:
            needed_mb, free_mb = -(-needed_bytes // 1_000_000), free_bytes // 1_000_000
            raise Unavailable(
                f"{self.name}: its storage is full: the agent needs {needed_mb} MB,"
                f" and {free_mb} MB are free"
            )

    def _announced(self, home: str) -> tuple[int, str] | None:
        """Port and token of the agent, if one of this bundle serves."""
        told = self._shell(
            f"cd {STATE} && grep -q {home}/ /proc/$(cat lock)/cmdline && cat agent.json"
            " && echo && cat token || true"
        )
        try:
            announcement, token = told.splitlines()[-2:]
            return int(json.loads(announcement)["port"]), token.strip()
        except (ValueError, LookupError):
            return None

    def _start_agent(self, home: str) -> tuple[int, str]:
        """In a session of its own from its birth: adbd ends all that is in adb's."""
        agent = f"sh {home}/latlab-agent --state-dir {STATE} --runner {home}/latlab-runner"
        pid = self._shell(f"setsid sh -c '{agent} </dev/null >{STATE}/agent.log 2>&1 & echo $!'")
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while (announced := self._announced(home)) is None:
            log = f"{{ echo it ended; tail -n 3 {STATE}/agent.log; }}"
            ended = self._shell(f"[ -d /proc/{pid} ] || {log}")
            if ended or time.monotonic() > deadline_s:
                raise AdbError(f"the agent did not start: {ended or 'it is too slow'}")
            time.sleep(POLL_S)
        return announced

    def _end_agent(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough. A dead one's pid may be another's."""
        self._shell(
            f"pid=$(cat {STATE}/lock 2>/dev/null) || exit 0;"
            f" alive() {{ grep -q {HOME}/bundle- /proc/$pid/cmdline 2>/dev/null; }};"
            " alive || exit 0; kill $pid;"
            " for wait in 1 1 1 1 1; do alive || exit 0; sleep $wait; done; kill -9 $pid"
        )

    def _client(self, port: int, token: str) -> AgentClient:
        client = AgentClient(f"127.0.0.1:{self._device.forward_port(port)}", token)
        try:
            client.describe()
        except Unavailable:
            client.close()
            raise
        return client

    def _shell(
        self, command: str, timeout_s: float = CALL_TIMEOUT_S, stdin: IO[bytes] | None = None
    ) -> str:
        """What it prints, as adb's shell user. Raises AdbError where it fails or has not
        ended in time, OSError where the connection breaks."""
        deadline_s = time.monotonic() + timeout_s
        with self._device.open_transport(timeout=CALL_TIMEOUT_S) as connection:
            connection.send_command(f"exec:({command}) 2>&1; echo; echo $?")
            connection.check_okay()
            while stdin is not None and (chunk := stdin.read(CHUNK_BYTES)):
                _limit(connection, deadline_s)
                connection.conn.sendall(chunk)
            output = bytearray()
            while len(output) < MAX_OUTPUT_BYTES:
                _limit(connection, deadline_s)
                if not (chunk := connection.conn.recv(CHUNK_BYTES)):
                    break
                output += chunk
        printed, _, status = output.decode(errors="replace").rstrip("\n").rpartition("\n")
        if status != "0":
            raise AdbError(printed.strip() or "the connection broke off")
        return printed.strip()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (AdbError, OSError) as error:
            said = str(error)
            advice = next((ADVICE[word] for word in ADVICE if word in said), said)
            raise Unavailable(f"{self.name}: {advice}") from error


def _limit(connection: AdbConnection, deadline_s: float) -> None:
    """The connection's next call, to what is left. Raises TimeoutError."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the phone does not answer in time")
    connection.conn.settimeout(left_s)
