"""Check what phones need, from adb to the bundle that is copied to them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import adbutils
from adbutils import AdbClient, AdbError

from host.agent.bundle import ABIS, Bundle
from host.devices.transports.adb import TROUBLES, AdbTransport, PhoneTrouble
from host.doctor.finding import CALL_TIMEOUT_S, Finding, Level
from host.doctor.machine import is_listened_on, read
from host.home.paths import BUNDLE_FIX, IS_CHECKOUT, REPOSITORY, LabHome
from latlab.client.client import LatencyClient
from latlab.common.agent_sources import agent_sources
from latlab.domain.device import DeviceStatus, TransportKind
from latlab.domain.errors import LabError, Unavailable

READY = "device"  # adb's word for a phone that it can use
MIN_PHONE_FREE_BYTES = 200_000_000  # for a bundle beside the one that it replaces
ADB_INTERFACE = ("ff", "42", "01")  # class, subclass and protocol of USB debugging


def check_adb(home: LabHome) -> Iterator[Finding]:
    """Check that adb is installed, and that its server has the same version."""
    try:
        adb = adbutils.adb_path()
    except AdbError:
        yield Finding("adb", Level.WARNING, "not installed: no phones", "apt install adb")
        return
    output = subprocess.run(
        [adb, "version"], capture_output=True, text=True, timeout=CALL_TIMEOUT_S, check=False
    ).stdout
    version = output.partition("\n")[0].removeprefix("Android Debug Bridge version ")
    yield Finding("adb", Level.OK, f"{adb}, version {version or 'unknown'}")
    port = _adb_port()
    if not is_listened_on(port):
        yield Finding("adb", Level.OK, f"no server runs on port {port} yet: the lab starts one")
        return
    try:
        server = AdbClient(socket_timeout=CALL_TIMEOUT_S).server_version()
    except (AdbError, OSError, ValueError) as error:
        yield Finding(
            "adb",
            Level.WRONG,
            f"what listens on port {port} does not answer as adb: {error}",
            "run `adb kill-server`, or end the program on that port",
        )
        return
    if version.endswith(f".{server}"):
        yield Finding("adb", Level.OK, f"server on port {port}, version {server}")
    else:
        yield Finding(
            "adb",
            Level.WRONG,
            f"the server on port {port} has another version, {server}: it and adb end each other",
            "leave only one adb on this machine, then run `adb kill-server`",
        )


def check_usb(home: LabHome) -> Iterator[Finding]:
    """Check that this user may open the phones on this machine's USB."""
    yield from usb_findings(Path("/"))


def usb_findings(root: Path) -> Iterator[Finding]:
    """Yield a finding for each phone with USB debugging on: whether this user may open it.

    `root` is the folder that holds /sys and /dev.
    """
    for interface in sorted((root / "sys/bus/usb/devices").glob("*:*")):
        names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
        if tuple(read(interface / name) for name in names) != ADB_INTERFACE:
            continue
        device = interface.resolve().parent
        bus, number = (int(read(device / name) or 0) for name in ("busnum", "devnum"))
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
    """Check that adb can use each phone, and that its storage has space."""
    if not is_listened_on(_adb_port()):
        return
    for phone in AdbClient(socket_timeout=CALL_TIMEOUT_S).list():
        if phone.state != READY:
            trouble = TROUBLES.get(phone.state, PhoneTrouble(phone.state, "plug it in again"))
            found = f"{phone.serial}: {trouble.found}"
            yield Finding("phone", Level.WRONG, found, trouble.fix)
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


def phone_serials(home: LabHome) -> set[str]:
    """Return the serials of all phones that adb or the running lab knows."""
    serials: set[str] = set()
    with suppress(AdbError, OSError):
        if is_listened_on(_adb_port()):
            serials |= {phone.serial for phone in AdbClient(socket_timeout=CALL_TIMEOUT_S).list()}
    with suppress(LabError), LatencyClient.connect(home.root) as client:
        serials |= serials_of(client.devices())
    return serials


def serials_of(statuses: Iterable[DeviceStatus]) -> set[str]:
    """Return two serials of each phone among the devices: the one that adb uses and its own."""
    phones = [each for each in statuses if each.transport_kind is TransportKind.ADB]
    own = {phone.device.serial for phone in phones if phone.device is not None}
    return own | {phone.address for phone in phones}


def check_bundle(home: LabHome) -> Iterator[Finding]:
    """Check that there is an agent's bundle for each kind of phone."""
    for abi, machine in ABIS.items():
        fix = f"{BUNDLE_FIX} MACHINE={machine}" if IS_CHECKOUT else BUNDLE_FIX
        try:
            bundle = Bundle.for_abi(home.bundles, abi)
        except (Unavailable, ValueError, LookupError):
            # Hardly any phone is x86_64. A phone without a bundle says so itself.
            level = Level.WARNING if machine == "aarch64" else Level.OK
            yield Finding("bundle", level, f"{machine} phones need one, there is none", fix)
        else:
            level, found = Level.OK, f"{machine}: {bundle.sha256[:16]}"
            if not _has_this_agent(bundle):
                level, found = Level.WARNING, f"{found}, which holds another version of the agent"
            yield Finding("bundle", level, found, fix if level is Level.WARNING else "")


def _has_this_agent(bundle: Bundle) -> bool:
    """Return whether the bundle holds this version's agent. Its runner cannot be compared."""
    bundled, own = (
        {name: path.read_bytes() for name, path in agent_sources(folder).items()}
        for folder in (bundle.folder / "site", REPOSITORY)
    )
    return bundled == own


def _adb_port() -> int:
    return int(os.environ.get("ANDROID_ADB_SERVER_PORT") or 5037)
