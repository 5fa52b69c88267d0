"""A phone through adb: the lab copies the agent to it and reaches it by a forwarded port.

On the phone everything is in /data/local/tmp/latlab, where an adb shell may run programs:

bundle-HASH/    the agent's bundle; it gets this name when it is complete
incoming/       a bundle that is being copied
state/          the agent's state: its token (mode 0600), programs, results, log, and the port that
                adb forwards
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from adbutils import AdbClient, AdbConnection, AdbError

from host.agent.bundle import Bundle
from host.agent.client import AgentClient
from host.devices.transports.phone_userland import KILLED, check_commands, check_execution
from host.devices.transports.transport import RouteGone
from latlab.domain.checks.text import cleaned
from latlab.domain.device import TransportKind
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
MAX_ABI = 64  # characters, as those below
MAX_MESSAGE = 500

ABSENT = "absent"  # adb lists no phone that is unplugged


@dataclass(frozen=True, slots=True)
class PhoneTrouble:
    """A reason why adb cannot use a phone.

    Attributes:
        found: What is wrong.
        fix: What to do about it.
    """

    found: str
    fix: str


# By adb's word for the phone's state.
TROUBLES = {
    "unauthorized": PhoneTrouble(
        "unauthorized", "unlock it and allow USB debugging from this computer"
    ),
    "offline": PhoneTrouble("offline, it does not answer adb", "unplug it and plug it in again"),
    "no": PhoneTrouble(
        "this user may not open it",
        "apt install android-sdk-platform-tools-common, then plug it in again",
    ),
    ABSENT: PhoneTrouble("unplugged", "plug it in, with USB debugging allowed"),
}


class AdbTransport:
    """A phone that is known to adb.

    Args:
        serial: adb's name for the phone.
        bundles: A folder with the agent's bundle for each ABI.
    """

    kind = TransportKind.ADB
    shares_host = False
    patience_s = 120.0  # a cable that was pulled is often plugged in again soon

    def __init__(self, serial: str, bundles: Path) -> None:
        self.name = f"adb:{cleaned(serial)}"
        self.address = serial
        self._bundles = bundles
        self._device = AdbClient(socket_timeout=CALL_TIMEOUT_S).device(serial)

    def connect(self) -> AgentClient:
        """Return a client of the phone's agent.

        Copies the bundle if it is missing, and starts its agent if it does not run. Raises
        Unavailable, saying what to do.
        """
        with self._explained():
            abi = cleaned(self._shell("getprop ro.product.cpu.abi"), MAX_ABI)
            bundle = Bundle.for_abi(self._bundles, abi)
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
        """End the agent, and with it its runner, if the phone can be reached."""
        with contextlib.suppress(Unavailable), self._explained():
            self._end_agent()
            self._forward(None)

    def _bring(self, bundle: Bundle, home: str) -> None:
        """Copy a bundle to the phone, in place of any other.

        `home` appears when every byte has arrived; otherwise the phone stays as it was.
        """
        check_commands(self._shell)
        incoming = f"{HOME}/incoming"
        self._shell(f"rm -rf {incoming} && mkdir {incoming}")
        with tempfile.TemporaryFile() as archive:
            bundle.write_archive(archive)
            size_bytes = archive.tell()
            self._check_space(size_bytes + size_bytes // 2)  # the agent copies its runner
            check_execution(self._shell, HOME)
            archive.seek(0)
            unpack = f"head -c {size_bytes} | tar -xf - -C {incoming}"
            self._shell(unpack, PUSH_TIMEOUT_S, archive)
        list_files = "find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum"
        listed = self._shell(f"cd {incoming} && sync && {list_files}", PUSH_TIMEOUT_S)
        if listed.split()[0] != bundle.digest():
            raise AdbError("the agent's files were damaged on their way to the phone")
        self._end_agent()
        self._shell(f"rm -rf {HOME}/bundle-* && mv {incoming} {home} && sync")

    def free_bytes(self) -> int:
        """Return the free space for agents and programs. Raises Unavailable."""
        with self._explained():
            return int(self._shell(f"df -kP {STORAGE} | tail -n 1").split()[-3]) * 1024

    def _check_space(self, needed_bytes: int) -> None:
        free_bytes = self.free_bytes()
        if free_bytes < needed_bytes:
            needed_mb, free_mb = -(-needed_bytes // 1_000_000), free_bytes // 1_000_000
            raise Unavailable(
                f"{self.name}: its storage is full: the agent needs {needed_mb} MB,"
                f" and {free_mb} MB are free; remove files or apps from it"
            )

    def _announced(self, home: str) -> tuple[int, str] | None:
        """Return port and token of the agent if one of this bundle serves."""
        output = self._shell(
            f"cd {STATE} && grep -q {home}/ /proc/$(cat lock)/cmdline && cat agent.json"
            " && echo && cat token || true"
        )
        try:
            announcement, token = output.splitlines()[-2:]
            return int(json.loads(announcement)["port"]), token.strip()
        except (ValueError, LookupError):
            return None

    def _start_agent(self, home: str) -> tuple[int, str]:
        """Start the agent in a session of its own, since adbd ends everything in adb's session.

        Returns its port and token.
        """
        agent = f"sh {home}/latlab-agent --state-dir {STATE} --runner {home}/latlab-runner"
        log = f"{STATE}/agent.log"
        # The old log goes first: an empty one shows that the agent was killed before it said why.
        pid = self._shell(f">{log}; setsid sh -c '{agent} </dev/null >{log} 2>&1 & echo $!'")
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while (announced := self._announced(home)) is None:
            ended = self._shell(f"[ -d /proc/{pid} ] || {{ echo it ended; tail -n 3 {log}; }}")
            if ended == "it ended":
                raise AdbError(KILLED)
            if ended or time.monotonic() > deadline_s:
                reason = ended or f"it took over {START_TIMEOUT_S:g} s"
                raise AdbError(f"the agent did not start: {reason}")
            time.sleep(POLL_S)
        return announced

    def _end_agent(self) -> None:
        """End the agent: send SIGTERM, and SIGKILL if that is not enough.

        The pid of a dead agent may be another process's by now. Only the agent has its lock open.
        """
        self._shell(
            f"pid=$(cat {STATE}/lock 2>/dev/null) || exit 0;"
            f" alive() {{ ls -l /proc/$pid/fd 2>/dev/null | grep -q {STATE}/lock; }};"
            " alive || exit 0; kill $pid;"
            " for wait in 1 1 1 1 1; do alive || exit 0; sleep $wait; done; kill -9 $pid"
        )

    def _client(self, port: int, token: str) -> AgentClient:
        self._forward(port)
        client = AgentClient(f"127.0.0.1:{self._device.forward_port(port)}", token)
        try:
            client.describe()
        except Unavailable:
            client.close()
            raise
        return client

    def _forward(self, port: int | None) -> None:
        """Note on the phone which of its ports adb forwards, and end the forward noted before.

        A daemon that was killed has left one, and its agent may have ended since.
        """
        note = f"{STATE}/forwarded"
        update = f"rm -f {note}" if port is None else f"echo {port} >{note}"
        noted = self._shell(f"cat {note} 2>/dev/null; {update} || true")
        for forward in self._device.forward_list():
            if forward.remote == f"tcp:{noted}" != f"tcp:{port}":
                self._device.forward_remove(forward.local, raise_non_found=False)

    def _shell(
        self, command: str, timeout_s: float = CALL_TIMEOUT_S, stdin: IO[bytes] | None = None
    ) -> str:
        """Return the output of a shell command on the phone.

        Raises AdbError if the command fails, and OSError if the connection breaks or the command
        does not end in time.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._device.open_transport(timeout=CALL_TIMEOUT_S) as connection:
            connection.send_command(f"exec:({command}) 2>&1; status=$?; echo; echo $status")
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
        """Raise Unavailable in place of adb's errors, and where the phone's answer makes no sense.

        If adb knows the phone's trouble, the message says it.
        """
        try:
            yield
        except (AdbError, OSError, ValueError, LookupError) as error:
            state = self._adb_state()
            trouble = TROUBLES.get(state)
            message = cleaned(str(error), MAX_MESSAGE)
            if trouble is not None:
                message = f"{trouble.found}: {trouble.fix}"
            kind = RouteGone if state == ABSENT else Unavailable
            raise kind(f"adb cannot use {self.name}: {message}") from error

    def _adb_state(self) -> str:
        """Return adb's word for the phone's state; empty if adb itself does not answer."""
        try:
            phones = AdbClient(socket_timeout=CALL_TIMEOUT_S).list()
        except (AdbError, OSError):
            return ""
        return next((phone.state for phone in phones if phone.serial == self.address), ABSENT)


def _limit(connection: AdbConnection, deadline_s: float) -> None:
    """Limit the connection's next call to the time that is left. Raises TimeoutError."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the phone does not answer in time")
    connection.conn.settimeout(left_s)
