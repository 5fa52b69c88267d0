"""A pure rule that checks a device's description before it enters the lab.

An agent runs on a machine that may be damaged or hacked, and its description is shown in
terminals, logs and pages.
"""

from __future__ import annotations

from dataclasses import replace

from latlab.domain.device import CoreClass, Device
from latlab.domain.errors import Unavailable
from latlab.domain.text import cleaned

# Lengths in characters, as wide as the database's columns.
MAX_SERIAL = 128
MAX_DESCRIPTION = 256
MAX_VERSION = 64
MAX_NAME = 32
MAX_BACKENDS = 8
MAX_CORE_CLASSES = 16
MAX_CPUS = 4096


def checked_device(device: Device) -> Device:
    """Return a device's description in a form that may be stored and shown.

    The description of an honest device stays as it is, for targets are known by its texts.

    Raises:
        Unavailable: The description makes no sense.
    """
    if fault := _fault(device):
        raise Unavailable(f"the device's agent describes it wrongly: {fault}; update or restart it")
    return replace(
        device,
        serial=cleaned(device.serial, MAX_SERIAL),
        model=cleaned(device.model, MAX_DESCRIPTION),
        soc=cleaned(device.soc, MAX_DESCRIPTION),
        os_build=cleaned(device.os_build, MAX_DESCRIPTION),
        abi=cleaned(device.abi, MAX_VERSION),
        runtime_version=cleaned(device.runtime_version, MAX_VERSION),
        runner_build=cleaned(device.runner_build, MAX_VERSION),
        backends=_names(device.backends),
        core_classes=tuple(
            replace(core_class, name=cleaned(core_class.name, MAX_NAME))
            for core_class in device.core_classes
        ),
        confinement=_names(device.confinement[:MAX_BACKENDS]),
    )


def _fault(device: Device) -> str:
    """Return what makes no sense; empty if everything does."""
    if not device.serial.strip():
        return "it has no serial"
    if len(device.backends) > MAX_BACKENDS:
        return f"it has {len(device.backends)} backends, more than {MAX_BACKENDS}"
    if not 0 < len(device.core_classes) <= MAX_CORE_CLASSES:
        return f"it has {len(device.core_classes)} core classes, not 1 to {MAX_CORE_CLASSES}"
    return next(filter(None, map(_core_fault, device.core_classes)), "")


def _core_fault(core_class: CoreClass) -> str:
    cpus = len(core_class.cpus)
    return "" if 0 < cpus <= MAX_CPUS else f"a core class has {cpus} cores, not 1 to {MAX_CPUS}"


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cleaned(name, MAX_NAME) for name in names)
