"""A phone in everything but speed: the real adbd, in namespaces and a root of its own.

Its hardware is one process that holds the mounts and the cable's far end. What runs on it is
in a process namespace below, whose end is a reboot: every process is gone, every file is
there. Both end when a pipe does, so nothing outlives whoever made the phone.

The userland is Android's own, toybox and mksh, with `getprop` and `dumpsys` that answer as
Android's do. An adb shell is the user 2000, who may write to /data/local/tmp only. This
machine's /usr, its Python and this repository are there too, read-only, for an agent without a
bundle of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from device_agent.bundle import BundleError
from host.home.paths import REPOSITORY
from tests.device_agent.agent_process import is_alive, wait_until
from tests.virtual_phone import android
from tests.virtual_phone.packages import PACKAGES

ADBD_PORT = 5555
SHELL_UID = 2000
DATA_BYTES = 1 << 30  # of /data/local/tmp
TIMEOUT_S = 30.0
_NETWORKS = range(256)  # of eight addresses each, in a block that RFC 2544 sets apart for tests

_HARDWARE = """
set -e
mount -t tmpfs -o size=$2,mode=0771,uid=$3,gid=$3 data "$1/data/local/tmp"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
for node in null zero random urandom; do mount --bind /dev/$node "$1/dev/$node"; done
mount --bind "$4" "$1/apex"
root=$1
shift 4
for folder in "$@"; do
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
done
ip link set lo up
echo ready
exec cat
"""

# Process 1 of the phone: as on Android, adbd is started again where it ends.
_INIT = """
export PATH=/system/bin ADBD_PORT={port} HOME=/data/local/tmp
libraries=/apex/usr/lib/x86_64-linux-gnu
while :; do
    /usr/bin/setpriv --reuid={uid} --regid={uid} --clear-groups \\
        $libraries/ld-linux-x86-64.so.2 --library-path $libraries:$libraries/android \\
        /apex/usr/lib/android-sdk/platform-tools/adbd
    sleep 1
done </dev/null >/adbd.log 2>&1 &
cat
"""


class NoPhone(Exception):
    """This machine cannot have one; says why."""


class VirtualPhone:
    """Plugged in, and off until it boots. `root` is its file system but for what is mounted:
    files in `root/sys` and `root/system` may be changed at any time."""

    def __init__(self, root: Path, hardware: subprocess.Popen[str]) -> None:
        self.root = root
        self._hardware = hardware
        self._system: subprocess.Popen[bytes] | None = None
        self._cable, network = _plug_in(hardware.pid)
        self.serial = f"{network}.2:{ADBD_PORT}"  # adb's name for it, where to connect to
        self.second_serial = f"{network}.6:{ADBD_PORT}"  # by another way, such as Wi-Fi

    def boot(self) -> None:
        """Returns at once."""
        self._system = subprocess.Popen(
            [
                *self._inside("--mount", "--net"),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                f"--root={self.root}",
                *("/system/bin/sh", "/init"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )

    def switch_off(self) -> None:
        """Returns when no process of it is left."""
        if self._system is not None:
            _end(self._system)
            self._system = None

    def reboot(self) -> None:
        self.switch_off()
        self.boot()

    def cut_cable(self) -> None:
        """Packets vanish; neither side is told."""
        _run("ip", "link", "set", self._cable, "down")

    def mend_cable(self) -> None:
        _run("ip", "link", "set", self._cable, "up")

    def kill(self, words: str) -> int:
        """SIGKILL to those processes; how many there were."""
        pids = self.pids(words)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def restart_adbd(self) -> None:
        """End adbd and everything that it started, sessions of their own or not, as a change of
        the USB mode does on many phones; returns when they are gone. Process 1 starts adbd
        again."""
        ended = []
        for pid in self.pids(""):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}").stat().st_uid == SHELL_UID:
                    os.kill(pid, signal.SIGKILL)
                    ended.append(pid)
        wait_until(lambda: not any(map(is_alive, ended)))

    def pids(self, words: str) -> list[int]:
        """Of its processes whose command line contains `words`, as this machine counts them."""
        if self._system is None or not (mine := _namespace(self._system.pid, "pid_for_children")):
            return []
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [
            pid for pid in pids if _namespace(pid, "pid") == mine and words in _command_line(pid)
        ]

    def fill_disk(self) -> None:
        """Nothing more fits into /data/local/tmp until `filling` there is removed."""
        self.shell("cat /dev/zero >/data/local/tmp/filling 2>/dev/null || true")

    def hide_sensors(self) -> None:
        """From now on an adb shell may not read /sys/class/thermal, as on many phones."""
        (self.root / "sys/class/thermal").chmod(0o700)

    def remount_storage(self, option: str) -> None:
        """Mount /data/local/tmp with that option, and reboot."""
        storage = f"{self.root}/data/local/tmp"
        _run(*self._inside("--mount"), "mount", "-o", f"remount,bind,{option}", storage)
        self.reboot()

    def shell(self, command: str) -> str:
        """What it prints, as root and without adb. Raises subprocess.CalledProcessError."""
        inside = self._inside("--mount", "--net")
        command = f"export PATH=/system/bin; {command}"
        return _run(*inside, "chroot", str(self.root), "/system/bin/sh", "-c", command)

    def set_property(self, name: str, value: str) -> None:
        android.set_property(self.root, name, value)

    def _inside(self, *namespaces: str) -> Sequence[str]:
        return ("nsenter", f"--target={self._hardware.pid}", *namespaces)


@contextlib.contextmanager
def virtual_phone(data_bytes: int = DATA_BYTES) -> Iterator[VirtualPhone]:
    """One that has booted. Raises NoPhone."""
    if os.geteuid() != 0:
        raise NoPhone("a virtual phone needs namespaces of its own: run as root")
    try:
        image = PACKAGES.image()
    except BundleError as error:
        renewed = "`python -m tests.virtual_phone.packages` pins newer packages"
        raise NoPhone(f"{error}; {renewed}") from error
    with tempfile.TemporaryDirectory(prefix="latlab-phone-") as folder:
        root = Path(folder)
        with _hardware(root, image, data_bytes) as hardware:
            phone = VirtualPhone(root, hardware)
            phone.boot()
            try:
                yield phone
            finally:
                phone.switch_off()


@contextlib.contextmanager
def _hardware(root: Path, image: Path, data_bytes: int) -> Iterator[subprocess.Popen[str]]:
    folders = sorted({"/usr", sys.prefix, sys.base_prefix, str(REPOSITORY)})
    _furnish(root, image, folders)
    arguments = [str(root), str(data_bytes), str(SHELL_UID), str(image), *folders]
    unshare = ["unshare", "--mount", "--net", "--propagation=private"]
    process = subprocess.Popen(
        [*unshare, "sh", "-c", _HARDWARE, "hardware", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":  # it says so, or ends
            raise NoPhone(f"no namespaces of its own: {process.stderr.read().strip()}")
        yield process
    finally:
        _end(process)


def _furnish(root: Path, image: Path, folders: Sequence[str]) -> None:
    root.chmod(0o755)
    for folder in ("apex", "data/local/tmp", "dev/pts", "proc", "system/bin", *folders):
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for node in ("null", "zero", "random", "urandom"):
        (root / "dev" / node).touch()
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    (root / "bin").symlink_to("system/bin")
    for folder in ("lib", "lib64"):
        (root / folder).symlink_to(f"usr/{folder}")
    for name in _run(str(image / "usr/bin/toybox")).split():
        (root / "system/bin" / name).symlink_to("/apex/usr/bin/toybox")
    (root / "system/bin/sh").symlink_to("/apex/usr/lib/x86_64-linux-musl/bin/mksh")
    for command in Path(__file__).with_name("system").iterdir():
        shutil.copy(command, root / "system/bin" / command.name)
    (root / "init").write_text(_INIT.format(port=ADBD_PORT, uid=SHELL_UID))
    android.write_files(root)


def _plug_in(hardware_pid: int) -> tuple[str, str]:
    """The cable's near end, and the first three numbers of the addresses at both ends."""
    for number in _NETWORKS:
        near, network = f"vphone{number}", f"198.19.{number}"
        far = ("peer", "name", "usb0", "netns", str(hardware_pid))
        with contextlib.suppress(subprocess.CalledProcessError):  # another phone's
            _run("ip", "link", "add", near, "type", "veth", *far)
            break
    else:
        raise NoPhone("no network interface of its own could be made")
    inside = ("nsenter", f"--target={hardware_pid}", "--net")
    for host, phone in ((1, 2), (5, 6)):
        _run("ip", "address", "add", f"{network}.{host}/30", "dev", near)
        _run(*inside, "ip", "address", "add", f"{network}.{phone}/30", "dev", "usb0")
    _run("ip", "link", "set", near, "up")
    _run(*inside, "ip", "link", "set", "usb0", "up")
    return near, network


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """By closing its standard input. A process namespace is left when all in it have gone."""
    try:
        process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(TIMEOUT_S)


def _namespace(pid: int, kind: str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return None


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout
