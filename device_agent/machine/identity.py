"""Read who this device is: its serial, names, memory and core classes.

`root` is where /proc, /sys, /etc and /system are: "/" except in tests.
"""

from __future__ import annotations

import hashlib
import platform
import uuid
from collections.abc import Collection
from pathlib import Path

from device_agent.machine.android import read_property
from device_agent.machine.conditions import CPUS, read_count, read_text
from device_agent.machine.cores import read_speed
from latlab.common.files import replacing
from latlab.v1.device_agent_pb2 import CoreClass

_SAME_CLASS_RATIO = 1.1  # favoured cores clock a few percent higher than others of their class
_FP16_FEATURES = {"avx512_fp16", "asimdhp"}  # as the kernel names them, on x86 and on ARM
_CLASS_NAMES = {1: ("all",), 2: ("little", "big"), 3: ("little", "big", "prime")}


def read_serial(root: Path, state_directory: Path) -> str:
    """Return the device's serial.

    A phone's is the one that adb shows. Others have sixteen hexadecimal digits that stay with the
    installation: a hash of the machine-id, or digits that were made once and are kept in the state
    directory.
    """
    if (phone := read_property(root, "ro.serialno")) is not None:
        return phone
    machine_id = read_text(root / "etc/machine-id")
    if machine_id is not None and machine_id != "uninitialized":
        return hashlib.sha256(f"latlab {machine_id}".encode()).hexdigest()[:16]
    kept = state_directory / "serial"
    serial = read_text(kept)
    if serial is None:
        serial = uuid.uuid4().hex[:16]
        with replacing(kept, mode=0o600) as draft:
            draft.write_bytes(serial.encode())
    return serial


def read_model(root: Path) -> str:
    """Return a phone's model from its properties, a board's from its device tree, or a computer's.

    A computer's is from its firmware. If there is none, the model is the SoC's.
    """
    if phone := _read_properties(root, "ro.product.manufacturer", "ro.product.model"):
        return phone
    board = read_text(root / "proc/device-tree/model")
    if board is not None:
        return board
    firmware = root / "sys/class/dmi/id"
    words = [read_text(firmware / name) for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or read_soc(root)


def read_soc(root: Path) -> str:
    if phone := _read_properties(root, "ro.soc.manufacturer", "ro.soc.model"):
        return phone
    cpuinfo = _fields(read_text(root / "proc/cpuinfo") or "", ":")
    soc = read_text(root / "sys/devices/soc0/soc_id")
    return soc or cpuinfo.get("Hardware") or cpuinfo.get("model name") or platform.machine()


def read_os_build(root: Path) -> str:
    if phone := _read_properties(root, "ro.build.fingerprint"):  # names the kernel's build too
        return f"Android {phone}"
    release = _fields(read_text(root / "etc/os-release") or "", "=")
    kernel = read_text(root / "proc/sys/kernel/osrelease") or platform.release()
    return ", ".join(filter(None, [release.get("PRETTY_NAME", "").strip('"'), f"Linux {kernel}"]))


def read_memory_bytes(root: Path) -> int:
    """Return the memory's size, or 0 if the kernel does not report it."""
    total = _fields(read_text(root / "proc/meminfo") or "", ":").get("MemTotal", "0 kB")
    return int(total.split()[0]) * 1024


def read_fast_fp16(root: Path) -> bool | None:
    """Return whether every core has instructions for float16, or None if nobody knows."""
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    features = [
        set(values.split())
        for name, _, values in (line.partition(":") for line in lines)
        if name.strip() in ("flags", "Features")  # on x86 and on ARM
    ]
    return all(each & _FP16_FEATURES for each in features) if features else None


def read_core_classes(root: Path, cpus: Collection[int]) -> list[CoreClass]:
    """Return the classes of `cpus`, the slowest first.

    Cores differ in speed if the scheduler's capacity or the highest clock differs. If neither is
    known, all cores are one class, "all".
    """
    cores = root / CPUS
    clocks_khz = {cpu: read_count(cores / f"cpu{cpu}/cpufreq/cpuinfo_max_freq") for cpu in cpus}
    speeds = {cpu: read_speed(root, cpu) for cpu in cpus}
    classes: list[list[int]] = []
    for cpu in sorted(cpus, key=lambda cpu: (speeds[cpu], cpu)):
        if classes and speeds[cpu] <= speeds[classes[-1][0]] * _SAME_CLASS_RATIO:
            classes[-1].append(cpu)
        else:
            classes.append([cpu])
    names = _CLASS_NAMES.get(len(classes)) or [f"class{rank}" for rank in range(len(classes))]
    return [
        CoreClass(
            name=name,
            cpus=sorted(members),
            max_clock_khz=max(filter(None, (clocks_khz[cpu] for cpu in members)), default=None),
        )
        for name, members in zip(names, classes, strict=True)
    ]


def _read_properties(root: Path, *names: str) -> str:
    return " ".join(filter(None, (read_property(root, name) for name in names)))


def _fields(text: str, separator: str) -> dict[str, str]:
    """Return the first value of each name in lines like "name <separator> value"."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, found, value = line.partition(separator)
        if found:
            fields.setdefault(name.strip(), value.strip())
    return fields
