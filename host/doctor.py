"""`latlab doctor`: what stands in the way of measuring, and its mend. It changes nothing.

Each check is a function from the lab's home to findings. It asks with deadlines of its own,
and is given up after CHECK_TIMEOUT_S whatever it waits for.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import adbutils
from adbutils import AdbClient, AdbError

from host.bundle import ABIS, Bundle
from host.client import DeviceStatus, LatencyClient
from host.config import load_config
from host.errors import LabError, Unavailable
from host.home import REPOSITORY, LabHome
from host.transports.adb import ADVICE, AdbTransport

CHECK_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 5.0
STEAL_SAMPLE_S = 1.0
MAX_STEAL = 0.01
MAX_LOAD_PER_CORE = 0.25
MIN_FREE_BYTES = 1 << 30
MIN_PHONE_FREE_BYTES = 200_000_000  # a bundle beside the one that it replaces
MAX_SKEW_S = 60.0
MAX_TEMPERATURE_C = 60.0
MIN_BATTERY = 0.2
ADB_INTERFACE = ("ff", "42", "01")  # class, subclass and protocol of USB debugging


class Level(str, Enum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """mend: what to do, "" where nothing is."""

    check: str
    level: Level
    found: str
    mend: str = ""


Check = Callable[[LabHome], Iterator[Finding]]


def examine(home: LabHome) -> list[Finding]:
    """Of every check, in their order."""
    return [finding for check in CHECKS for finding in limited(check, home)]


def limited(check: Check, home: LabHome, timeout_s: float = CHECK_TIMEOUT_S) -> list[Finding]:
    """What the check finds; what it raises, or that it takes too long, is a finding too."""
    found: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    name = check.__name__.removeprefix("check_")

    def run() -> None:
        findings = []
        try:
            for finding in check(home):
                findings.append(finding)  # those before an error count
        except Exception as error:
            findings.append(Finding(name, Level.WRONG, f"{type(error).__name__}: {error}"))
        found.put(findings)

    threading.Thread(target=run, daemon=True).start()
    try:
        return found.get(timeout=timeout_s)
    except queue.Empty:
        return [Finding(name, Level.WRONG, f"no answer in {timeout_s:g} s", "try again")]


def check_adb(home: LabHome) -> Iterator[Finding]:
    try:
        adb = adbutils.adb_path()
    except AdbError:
        yield Finding("adb", Level.WARNING, "not installed, so no phones", "apt install adb")
        return
    told = subprocess.run(
        [adb, "version"], capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
    ).stdout
    version = told.partition("\n")[0].removeprefix("Android Debug Bridge version ")
    yield Finding("adb", Level.OK, f"{adb}, version {version or 'unknown'}")
    port = _adb_port()
    if not _is_listened_on(port):
        yield Finding("adb", Level.OK, f"no server on port {port} yet: the lab starts one")
        return
    try:
        server = AdbClient(socket_timeout=CALL_TIMEOUT_S).server_version()
    except (AdbError, OSError, ValueError) as error:
        yield Finding(
            "adb",
            Level.WRONG,
            f"what listens on port {port} does not answer as adb: {error}",
            "adb kill-server, or end what has taken the port",
        )
        return
    if version.endswith(f".{server}"):
        yield Finding("adb", Level.OK, f"server on port {port}, version {server}")
    else:
        yield Finding(
            "adb",
            Level.WRONG,
            f"the server on port {port} is of another version, {server}: they end each other",
            "leave one adb on this machine, then adb kill-server",
        )


def check_usb(home: LabHome) -> Iterator[Finding]:
    yield from usb_findings(Path("/"))


def usb_findings(root: Path) -> Iterator[Finding]:
    """Of phones with USB debugging on: whether this user may open them. `root` is where /sys
    and /dev are."""
    for interface in sorted((root / "sys/bus/usb/devices").glob("*:*")):
        names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
        if tuple(_read(interface / name) for name in names) != ADB_INTERFACE:
            continue
        device = interface.resolve().parent
        bus, number = (int(_read(device / name) or 0) for name in ("busnum", "devnum"))
        node = root / f"dev/bus/usb/{bus:03}/{number:03}"
        if os.access(node, os.R_OK | os.W_OK):
            yield Finding("usb", Level.OK, f"a phone at bus {bus}, device {number}")
        else:
            yield Finding(
                "usb",
                Level.WRONG,
                f"this user may not open the phone at bus {bus}, device {number}",
                "apt install android-sdk-platform-tools-common, then plug it in again",
            )


def check_phones(home: LabHome) -> Iterator[Finding]:
    if not _is_listened_on(_adb_port()):
        return
    for phone in AdbClient(socket_timeout=CALL_TIMEOUT_S).list():
        state = "no permissions" if phone.state == "no" else phone.state
        if state != "device":
            advice = ADVICE.get(state, state)
            found, _, mend = advice.partition(": ")
            yield Finding("phone", Level.WRONG, f"{phone.serial}: {found}", mend)
            continue
        try:
            free_bytes = AdbTransport(phone.serial, home.bundles).free_bytes()
        except Unavailable as error:
            yield Finding("phone", Level.WRONG, str(error), "plug it in again")
            continue
        short = free_bytes < MIN_PHONE_FREE_BYTES
        yield Finding(
            "phone",
            Level.WARNING if short else Level.OK,
            f"{phone.serial}: {free_bytes // 1_000_000} MB free",
            f"free {MIN_PHONE_FREE_BYTES // 1_000_000} MB on it" if short else "",
        )


def check_bundle(home: LabHome) -> Iterator[Finding]:
    for abi, machine in ABIS.items():
        mend = f"make agent-bundle MACHINE={machine}"
        try:
            bundle = Bundle.for_abi(home.bundles, abi)
        except (Unavailable, ValueError, LookupError):
            # A phone of either kind tells what it lacks; hardly any is x86_64.
            level = Level.WARNING if machine == "aarch64" else Level.OK
            yield Finding("bundle", level, f"none for {machine}, so no such phones", mend)
        else:
            level, found = Level.OK, f"{machine}: {bundle.sha256[:16]}"
            if not _has_this_agent(bundle):
                level, found = Level.WARNING, f"{found}, whose agent is another than this one"
            yield Finding("bundle", level, found, mend if level is Level.WARNING else "")


def check_runner(home: LabHome) -> Iterator[Finding]:
    try:
        told = subprocess.run(
            [home.runner, "--version"], capture_output=True, timeout=CALL_TIMEOUT_S, check=True
        ).stdout
        version = json.loads(told)["runtime_version"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        yield Finding("runner", Level.WRONG, f"{home.runner}: {error}", "make runner")
    else:
        yield Finding("runner", Level.OK, f"{home.runner}, runtime {version}")


def check_loopback(home: LabHome) -> Iterator[Finding]:
    """The daemon and every agent that is not a board listen there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = _is_listened_on(port)
    if reached:
        yield Finding("ports", Level.OK, "127.0.0.1 can be listened on and reached")
    else:
        mend = "let 127.0.0.1 through the firewall"
        yield Finding("ports", Level.WRONG, "127.0.0.1 cannot be reached", mend)


def check_processor(home: LabHome) -> Iterator[Finding]:
    clock = _read(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
    slow = clock in ("hpet", "acpi_pm", "jiffies")
    mend = "boot with clocksource=tsc: reading the time is slow" if slow else ""
    level = Level.WARNING if slow else Level.OK
    yield Finding("clock", level, clock or "not told", mend)

    cpus = Path("/sys/devices/system/cpu")
    governors = {_read(path) for path in cpus.glob("cpu*/cpufreq/scaling_governor")} - {""}
    steady = governors <= {"performance"}
    yield Finding(
        "governor",
        Level.OK if steady else Level.WARNING,
        ", ".join(sorted(governors)) or "not told, as on virtual machines",
        "" if steady else "cpupower frequency-set --governor performance",
    )
    cores = os.cpu_count() or 1
    load_1min = os.getloadavg()[0]
    busy = load_1min > MAX_LOAD_PER_CORE * cores
    mend = "leave the machine alone while it measures" if busy else ""
    level = Level.WARNING if busy else Level.OK
    yield Finding("load", level, f"{load_1min:.2f} on {cores} cores", mend)

    before, all_before = _steal_and_all_ticks()
    time.sleep(STEAL_SAMPLE_S)
    after, all_after = _steal_and_all_ticks()
    steal = (after - before) / max(1, all_after - all_before)
    stolen = steal > MAX_STEAL
    mend = "measure on another machine, or when its neighbours are quiet" if stolen else ""
    yield Finding("steal", Level.WARNING if stolen else Level.OK, f"{steal:.1%}", mend)


def check_state(home: LabHome) -> Iterator[Finding]:
    if not home.root.is_dir():
        yield Finding("state", Level.WARNING, f"no {home.root} yet", "make lab-up")
        return
    free_bytes = shutil.disk_usage(home.root).free
    full = free_bytes < MIN_FREE_BYTES
    found = f"{home.root}: {free_bytes / 2**30:.1f} GiB free"
    mend = "free a GiB: measurements are kept here" if full else ""
    yield Finding("disk", Level.WRONG if full else Level.OK, found, mend)
    if not os.access(home.root, os.W_OK):
        mend = f"give {home.root} to this user: chown -R"
        yield Finding("state", Level.WRONG, f"{home.root} cannot be written to", mend)
    for secret in (home.token_file, *home.boards.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(secret.stat().st_mode) & 0o077:
                found = f"others can read {secret}"
                yield Finding("state", Level.WRONG, found, f"chmod 600 {secret}")
    try:
        load_config(home.config_file)
    except LabError as error:
        yield Finding("lab.toml", Level.WRONG, str(error), "correct it: the lab does not start")


def check_daemon(home: LabHome) -> Iterator[Finding]:
    """And, where it runs, each of its devices."""
    try:
        with LatencyClient.connect(home) as client:
            statuses = client.devices()
            yield Finding("daemon", Level.OK, f"it serves {len(statuses)} devices")
            for status in statuses:
                yield device_finding(client, status)
    except Unavailable as error:
        yield Finding("daemon", Level.WARNING, str(error), f"make lab-up; see {home.log_file}")


def device_finding(client: LatencyClient, status: DeviceStatus) -> Finding:
    name = status.transport
    if status.device is None or status.state.startswith(
        ("lost", "connecting", "held", "error", "quarantine")
    ):
        return Finding(name, Level.WRONG, status.state, "as it says; the lab tries again by itself")
    try:
        now = client.conditions(name)
    except LabError as error:
        return Finding(name, Level.WRONG, str(error), "plug it in again, or restart its agent")
    skew_s = abs(now.unix_ns - time.time_ns()) / 1e9
    told = [status.state, f"clock {skew_s:.0f} s off"]
    mends = []
    if skew_s > MAX_SKEW_S:
        mends.append("set its clock")
    if now.temperature_c is not None:
        told.append(f"{now.temperature_c:.0f} °C")
        if now.temperature_c > MAX_TEMPERATURE_C or now.throttled:
            mends.append("let it cool")
    if now.battery_level is not None:
        told.append(f"battery {now.battery_level:.0%}")
        if now.battery_level < MIN_BATTERY:
            mends.append("charge it")
    if now.governor is not None:
        told.append(now.governor)
    level = Level.WARNING if mends else Level.OK
    return Finding(name, level, ", ".join(told), " and ".join(mends))


CHECKS: tuple[Check, ...] = (
    check_adb,
    check_usb,
    check_phones,
    check_bundle,
    check_runner,
    check_loopback,
    check_processor,
    check_state,
    check_daemon,
)


def _has_this_agent(bundle: Bundle) -> bool:
    """Whether it would bring the agent of this version; of its runner that cannot be told."""
    brought, here = (
        {path.name: path.read_bytes() for path in (folder / "device_agent").glob("*.py")}
        for folder in (bundle.folder / "site", REPOSITORY)
    )
    return brought == here


def _adb_port() -> int:
    return int(os.environ.get("ANDROID_ADB_SERVER_PORT") or 5037)


def _is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(CALL_TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _read(path: Path) -> str:
    """Empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _steal_and_all_ticks() -> tuple[int, int]:
    """Of all processors since boot, proc(5)."""
    ticks = [int(word) for word in _read(Path("/proc/stat")).partition("\n")[0].split()[1:9]]
    return ticks[7], sum(ticks)
