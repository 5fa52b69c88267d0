"""A pure rule that checks a device's description before it enters the lab.

An agent runs on a machine that may be damaged or hacked, and its description is shown in
terminals, logs and pages.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from latlab.domain.checks.text import cleaned
from latlab.domain.device import CoreClass, Device
from latlab.domain.errors import Unavailable

# Lengths in characters, as wide as the database's columns.
MAX_LENGTH = 64
MAX_LENGTHS = {"serial": 128, "model": 256, "soc": 256, "os_build": 256}
MAX_NAME = 32
MAX_NAMES = 16
MAX_CPUS = 4096


def checked_device(device: Device) -> Device:
    """Return a device's description in a form that may be stored and shown.

    The description of an honest device stays as it is, for targets are known by its texts.

    Raises:
        Unavailable: The description makes no sense.
    """
    if fault := _fault(device):
        raise Unavailable(f"the device's agent describes it wrongly: {fault}; update or restart it")
    values = {field.name: getattr(device, field.name) for field in fields(device)}
    texts: dict[str, Any] = {
        name: cleaned(text, MAX_LENGTHS.get(name, MAX_LENGTH))
        for name, text in values.items()
        if isinstance(text, str)
    }
    return replace(
        device,
        backends=_names(device.backends),
        core_classes=tuple(
            replace(core_class, name=cleaned(core_class.name, MAX_NAME))
            for core_class in device.core_classes
        ),
        confinement=_names(device.confinement),
        **texts,
    )


def _fault(device: Device) -> str:
    """Return what makes no sense; empty if everything does."""
    if not device.serial.strip():
        return "it has no serial"
    if not device.core_classes:
        return "it has no cores"
    for name in ("backends", "core_classes", "confinement"):
        if (length := len(getattr(device, name))) > MAX_NAMES:
            return f"it has {length} {name}, more than {MAX_NAMES}"
    return next(filter(None, map(_core_fault, device.core_classes)), "")


def _core_fault(core_class: CoreClass) -> str:
    cpus = len(core_class.cpus)
    return "" if 0 < cpus <= MAX_CPUS else f"a core class has {cpus} cores, not 1 to {MAX_CPUS}"


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cleaned(name, MAX_NAME) for name in names)
