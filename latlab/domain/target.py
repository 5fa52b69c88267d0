"""What a latency is valid for: targets, and how they are found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property

from latlab.domain.device import Device
from latlab.domain.errors import InvalidRequest, NotFound, Unavailable


@dataclass(frozen=True)
class Target:
    """What a latency is valid for. Never pool across targets."""

    device_model: str
    os_build: str
    runtime_version: str
    runner_build: str
    backend: str
    threads: int
    core_class: str

    @cached_property
    def id(self) -> str:
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """For people; two builds of one device share it, the id tells them apart."""
        model = "".join(c if c.isalnum() else "-" for c in self.device_model.lower())
        model = "-".join(part for part in model.split("-") if part)
        return f"{model}/{self.core_class}/{self.threads}t"


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """devices: how many can serve it now; fitted_measurements: 0 without a predictor;
    shares_host: whether other work on the lab's machine disturbs it; sentinel_drift: of the
    last sentinel from its baseline, as a share, None before one; drifted: its jobs wait."""

    target: Target
    devices: int
    measurements: int
    fitted_measurements: int
    shares_host: bool
    sentinel_drift: float | None = None
    drifted: bool = False


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
