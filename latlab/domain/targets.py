"""The targets that a device serves."""

from __future__ import annotations

from collections.abc import Collection

from latlab.domain.domain import Device, Target
from latlab.domain.errors import InvalidRequest, NotFound, Unavailable


def targets_of(device: Device, core_classes: Collection[str] | None = None) -> list[Target]:
    """For every backend and core class: one thread, the field's usual case, and one thread
    for every core of the class. `core_classes`: the names of those that count, None for all;
    raises Unavailable where the device has none of them."""
    chosen = [
        core_class
        for core_class in device.core_classes
        if core_classes is None or core_class.name in core_classes
    ]
    if not chosen:
        wanted, there = (
            ", ".join(core_classes or ()),
            ", ".join(c.name for c in device.core_classes),
        )
        raise Unavailable(f"lab.toml has it measured on its cores {wanted}; it has: {there}")
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
        for core_class in chosen
        for threads in sorted({1, len(core_class.cpus)})
    ]


def find_target(wanted: str, served: Collection[Target], known: Collection[Target]) -> Target:
    """The target of this id or name. Where builds of one device share the name, those that
    a device serves now come before those that the lab only remembers.

    Raises NotFound, listing what there is, and InvalidRequest for an ambiguous name.
    """
    for targets in (served, known):
        found = {target.id: target for target in targets if wanted in (target.id, target.name)}
        if len(found) > 1:
            builds = "; ".join(
                f"{target.id} ({target.os_build}, {target.runtime_version})"
                for target in found.values()
            )
            raise InvalidRequest(f"several targets are named {wanted}, give an id: {builds}")
        if found:
            return found.popitem()[1]
    names = ", ".join(sorted({target.name for target in known})) or "none yet"
    raise NotFound(f"no target {wanted!r}; there are: {names}")
