"""What vendors do to phones, done to a virtual one for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.virtual_phone.phone import VirtualPhone


@contextmanager
def without_heat(phone: VirtualPhone) -> Iterator[None]:
    """Nothing tells its heat, as where Android is older than 10: neither sensors nor the thermal
    service."""
    zones, service = phone.root / "sys/class/thermal", phone.root / "system/dumpsys/thermalservice"
    answer = service.read_text()
    phone.hide_sensors()
    service.unlink()
    try:
        yield
    finally:
        service.write_text(answer)
        zones.chmod(0o755)


@contextmanager
def without_commands(phone: VirtualPhone, *commands: str) -> Iterator[None]:
    """Its shell finds none of these commands of toybox."""
    paths = [phone.root / "system/bin" / name for name in commands]
    targets = [path.readlink() for path in paths]
    for path in paths:
        path.unlink()
    try:
        yield
    finally:
        for path, target in zip(paths, targets, strict=True):
            path.unlink(missing_ok=True)
            path.symlink_to(target)


@contextmanager
def killing_in_the_background(phone: VirtualPhone) -> Iterator[None]:
    """What leaves the session of adb's shell is killed."""
    with without_commands(phone, "setsid"):
        path = phone.root / "system/bin/setsid"
        path.write_text('#!/system/bin/sh\npid=$("$@"); kill -9 $pid; echo $pid\n')
        path.chmod(0o755)
        yield


@contextmanager
def without_execution(phone: VirtualPhone) -> Iterator[None]:
    """Nothing in /data/local/tmp may be executed. It reboots before and after."""
    phone.remount_storage("noexec")
    try:
        yield
    finally:
        phone.remount_storage("exec")
