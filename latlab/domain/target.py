"""Targets, which say what a latency is valid for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from latlab.domain.device import Device
from latlab.domain.errors import InvalidRequest, NotFound, Unavailable

UPGRADE_NETWORKS = 10  # so many measurements of a new build say what an upgrade has changed


@dataclass(frozen=True)
class Target:
    """The device, software and settings that a latency is valid for.

    Measurements of different targets are never pooled.

    Attributes:
        device_model: The device's manufacturer and model.
        os_build: The build of the device's operating system.
        runtime_version: Name and version of the runtime.
        runner_build: Hash of the runner and the libraries that come with it.
        backend: The name of the backend.
        threads: The number of threads.
        core_class: The name of the cores.
    """

    device_model: str
    os_build: str
    runtime_version: str
    runner_build: str
    backend: str
    threads: int
    core_class: str

    @cached_property
    def id(self) -> str:
        """A hash of all fields, by which databases and studies know the target."""
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @cached_property
    def name(self) -> str:
        """The target's name for people. Targets of other builds may share it, but not the id."""
        model = "".join(c if c.isalnum() else "-" for c in self.device_model.lower())
        model = "-".join(part for part in model.split("-") if part)
        return f"{model}/{self.core_class}/{self.threads}t"


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target as the running lab knows it.

    Attributes:
        target: The target.
        devices: How many devices can serve it now.
        measurements: How many usable measurements there are.
        fitted_measurements: How many measurements its predictor is fitted on; 0 without one.
        shares_host: Whether other work on the lab's machine disturbs it.
        sentinel_drift: How far the last sentinel was from its baseline, as a share of it; None
            before the first.
        drifted: Whether it has drifted beyond doubt, so that its jobs wait.
    """

    target: Target
    devices: int
    measurements: int
    fitted_measurements: int
    shares_host: bool
    sentinel_drift: float | None = None
    drifted: bool = False


def targets_of(device: Device, core_classes: Collection[str] | None = None) -> list[Target]:
    """Return the targets of a device.

    For each backend and core class there is one with one thread, the usual case in the
    literature, and one with a thread for each core of the class.

    Args:
        device: The device.
        core_classes: Names of the core classes that count; None for all.

    Raises:
        Unavailable: The device has none of the core classes.
    """
    chosen = [
        core_class
        for core_class in device.core_classes
        if core_classes is None or core_class.name in core_classes
    ]
    if not chosen:
        wanted = ", ".join(core_classes or ())
        present = ", ".join(core_class.name for core_class in device.core_classes)
        raise Unavailable(
            f"lab.toml asks to measure {device.model} on its cores {wanted}; it has: {present}"
        )
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


def build_before(target: Target, statuses: Iterable[TargetStatus]) -> TargetStatus | None:
    """Return the most measured target that differs from another one by its software alone.

    Args:
        target: The target after an upgrade.
        statuses: All targets of the lab.
    """
    builds = [
        status
        for status in statuses
        if status.measurements
        and status.target.id != target.id
        and status.target
        == replace(
            target,
            os_build=status.target.os_build,
            runtime_version=status.target.runtime_version,
            runner_build=status.target.runner_build,
        )
    ]
    return max(builds, key=lambda status: status.measurements, default=None)


def find_target(wanted: str, served: Collection[Target], known: Collection[Target]) -> Target:
    """Return the target with an id or name.

    Args:
        wanted: The id or name.
        served: The targets that a device serves now. Where builds of one device share a name,
            these come first.
        known: All targets.

    Raises:
        NotFound: There is none; the message lists the names.
        InvalidRequest: Several targets have this name; the message lists the ids.
    """
    for targets in (served, known):
        found = {target.id: target for target in targets if wanted in (target.id, target.name)}
        if len(found) > 1:
            builds = "; ".join(
                f"{target.id} ({target.os_build}, {target.runtime_version})"
                for target in found.values()
            )
            raise InvalidRequest(
                f"several targets are named {wanted}: give one of these ids: {builds}", "target"
            )
        if found:
            return found.popitem()[1]
    names = ", ".join(sorted({target.name for target in known})) or "none yet"
    raise NotFound(f"there is no target {wanted!r}; there are: {names}")
