"""The networks that `latlab profile` puts side by side, and how each one is profiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import typer

from host.cli.console import Screen, console, progress_bar, words
from latlab.client.measuring import Outcome
from latlab.client.profiling.measured import measured_profile
from latlab.client.profiling.predicted import predicted_profile
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.profiling.profile import Profile
from search.cli.session import Session
from search.latency.lab import OF_NETWORKS
from search.latency.networks import Network, export_all
from search.space.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Side:
    """One network to profile.

    Attributes:
        name: The network as the user gave it.
        label: What tells it from the other side.
        network: The network.
        deployment: The form in which it is deployed.
        target: Where it runs.
    """

    name: str
    label: str
    network: Network
    deployment: Deployment
    target: Target


@dataclass(frozen=True, slots=True)
class Other:
    """In what the other side differs from the first; None where it does not.

    Attributes:
        network: Its network, as the user gave it.
        precision: Its precision.
        target: The id or name of its target.
    """

    network: str | None
    precision: Precision | None
    target: str | None

    @property
    def is_given(self) -> bool:
        """True if there is another side."""
        return any(each is not None for each in (self.network, self.precision, self.target))


@dataclass(frozen=True, slots=True)
class Measuring:
    """How sides are measured.

    Attributes:
        pairs: How many pairs of visits each takes; None to predict instead.
        fresh: Whether to measure again what the lab has measured.
        priority: Measurements of a higher priority are made first.
        screen: Where the progress is shown.
    """

    pairs: int | None
    fresh: bool
    priority: int
    screen: Screen


def sides_of(
    opened: Session, names: Sequence[str], networks: Sequence[Network], other: Other
) -> list[Side]:
    """Return the networks to profile: the first one, and the other one if there is one.

    Args:
        opened: The lab, with the target and the form of the first network.
        names: The networks as the user gave them.
        networks: The networks.
        other: In what the other side differs.

    Raises:
        InvalidRequest: The precision cannot be chosen, or both sides are the same.
        NotFound: There is no such target.
    """
    name, network = names[0], networks[0]
    first = Side(name, name, network, opened.deployment, opened.target)
    if not other.is_given:
        return [first]
    if other.precision is not None and isinstance(networks[-1], ProgramFile):
        raise InvalidRequest(
            f"--against-precision has no effect on {names[-1]}: a .pte file is measured as it is."
            " Leave the option out"
        )
    second = replace(
        first,
        name=names[-1],
        network=networks[-1],
        deployment=replace(
            first.deployment, precision=other.precision or first.deployment.precision
        ),
        target=opened.client.find_target(other.target) if other.target else first.target,
    )
    if first == replace(second, label=first.label):
        raise InvalidRequest(
            f"both sides are {name}, in the same precision and on the same target: give"
            " another network, --against-precision or --against-target"
        )
    return [replace(side, label=_label(side, first, second)) for side in (first, second)]


def profiles_of(opened: Session, sides: Sequence[Side], how: Measuring) -> list[Profile]:
    """Return the profile of each side. Ends the command if one of them cannot be measured.

    Sides on the same target are measured in turn, visit by visit.

    Raises:
        ExportError: A network cannot be exported.
        NotReady: Too little was measured on a target for a prediction.
        InvalidRequest: A network cannot run on its target.
    """
    with how.screen.status("exporting"):
        files = [_file(opened, side) for side in sides]
    if how.pairs is None:
        return [
            predicted_profile(side.name, opened.client, side.target, file)
            for side, file in zip(sides, files, strict=True)
        ]
    outcomes = _measured(opened, sides, files, how, BenchmarkSpec.paired(how.pairs))
    profiles = []
    for side, file, outcome in zip(sides, files, outcomes, strict=True):
        if isinstance(outcome, Failure):
            _fail(side, outcome)
        else:
            profiles.append(measured_profile(side.name, opened.client, side.target, file, outcome))
    return profiles


def _label(side: Side, first: Side, second: Side) -> str:
    """Return what tells a side from the other one."""
    parts = []
    if first.name != second.name:
        parts.append(side.name)
    if first.deployment != second.deployment:
        parts.append(side.deployment.precision.value)
    if first.target != second.target:
        parts.append(side.target.name)
    return " ".join(parts)


def _file(opened: Session, side: Side) -> ProgramFile:
    [file] = export_all(opened.pool, [side.network], side.deployment)
    return file


def _measured(
    opened: Session,
    sides: Sequence[Side],
    files: Sequence[ProgramFile],
    how: Measuring,
    spec: BenchmarkSpec,
) -> list[Outcome]:
    """Return the outcome of each side."""
    outcomes: dict[tuple[str, str], Outcome] = {}
    with progress_bar(how.screen) as bar:
        for target in dict.fromkeys(side.target for side in sides):
            own = [f for side, f in zip(sides, files, strict=True) if side.target == target]
            programs = list({file.program.sha256: file for file in own}.values())
            visits = len(programs) * (spec.max_visits + spec.traced_visits)
            task = bar.add_task(f"measuring on {target.name}", total=visits)
            found = opened.client.measure(
                target.id,
                programs,
                spec,
                fresh=how.fresh,
                priority=how.priority,
                on_progress=lambda done, ended, task=task: bar.update(task, completed=done),  # type: ignore[misc]
            )
            bar.update(task, completed=visits)
            for file, outcome in zip(programs, found, strict=False):
                outcomes[target.id, file.program.sha256] = outcome
    return [
        outcomes[side.target.id, file.program.sha256]
        for side, file in zip(sides, files, strict=True)
    ]


def _fail(side: Side, failure: Failure) -> None:
    """End the command with a failure. Raises InvalidRequest if it is the network's own."""
    if failure.kind in OF_NETWORKS:
        raise InvalidRequest(f"{side.name}: {failure.message}")
    console.print(words((failure.kind.value, "red"), f": {failure.message}"))
    raise typer.Exit(1)
