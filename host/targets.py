"""The targets that a device serves."""

from __future__ import annotations

from collections.abc import Collection

from host.domain import Device, Target
from host.errors import InvalidRequest, NotFound


def targets_of(device: Device) -> list[Target]:
    """For every backend and core class: one thread, the field's usual case, and one thread
    for every core of the class."""
    return [
        Target(
            device_model=device.model,
            os_build=device.os_build,
            runtime_version=device.runtime_version,
            runner_build=device.runner_build,
            backend=backend,
            threads=threads,
            core_class=core_class.name,
        )
        for backend in device.backends
        for core_class in device.core_classes
        for threads in sorted({1, len(core_class.cpus)})
    ]


def find_target(wanted: str, targets: Collection[Target]) -> Target:
    """The target of this id, or of this name if only one bears it.

    Raises NotFound, listing what there is, and InvalidRequest for an ambiguous name.
    """
    found = [target for target in targets if wanted in (target.id, target.name)]
    if not found:
        names = ", ".join(sorted({target.name for target in targets})) or "none yet"
        raise NotFound(f"no target {wanted!r}; there are: {names}")
    if len(found) > 1:
        builds = "; ".join(
            f"{target.id} ({target.os_build}, {target.runtime_version})" for target in found
        )
        raise InvalidRequest(f"several targets are named {wanted}, give an id: {builds}")
    return found[0]
