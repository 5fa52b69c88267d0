"""`latlab zoo`, `measure` and `predict`: the commands about single networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, progress_bar, show
from latlab.domain.benchmark_spec import MAX_SUSTAINED_S, BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.program import Program
from search.cli.networks import remarks
from search.cli.networks.network_argument import (
    InputsOption,
    NetworksArgument,
    find_networks,
)
from search.cli.networks.tables import (
    measurements_table,
    prediction_cells,
    zoo_table,
)
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    MEASURING_PANEL,
    ClassesOption,
    FreshOption,
    PrecisionOption,
    PriorityOption,
    ResolutionOption,
    Session,
    TargetOption,
    session,
)
from search.latency.lab import OF_NETWORKS, Measured
from search.latency.networks import Network
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.zoo import ZOO


def zoo(
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure the networks on the target as well.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = False,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    precision: PrecisionOption = Precision.FP32,
) -> None:
    """List the published networks with parameters, multiply-adds and, on request, latency."""
    deployment = Deployment(resolution, classes, precision)
    outcomes: Sequence[Measured | Failure] = []
    if measure:
        with session(target, deployment=deployment) as opened:
            outcomes = _measured(opened, list(ZOO.values()))
    show(zoo_table(deployment, outcomes))
    _exit_if_failed(outcomes)


def measure(
    context: typer.Context,
    networks: NetworksArgument,
    inputs: InputsOption = None,
    precision: PrecisionOption = Precision.FP32,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    fresh: FreshOption = False,
    priority: PriorityOption = 0,
    sustained_s: Annotated[
        int | None,
        typer.Option(
            "--sustained",
            min=1,
            max=MAX_SUSTAINED_S,
            help="Seconds of load before each visit, to measure a device that is warm.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = None,
) -> None:
    """Measure networks on a target."""
    found = find_networks(networks, inputs, context)
    spec = BenchmarkSpec.sustained(sustained_s) if sustained_s else None
    with session(target, spec, priority, Deployment(resolution, classes, precision)) as opened:
        outcomes = _measured(opened, found, fresh=fresh)
        _refuse_if_unfit(networks, outcomes)
        programs = {
            name: outcome.program
            for name, outcome in zip(networks, outcomes, strict=True)
            if isinstance(outcome, Measured) and outcome.program is not None
        }
        show(measurements_table(networks, outcomes, remarks.on_networks(opened, programs)))
    _exit_if_failed(outcomes)


def _measured(
    opened: Session, networks: Sequence[Network], *, fresh: bool = False
) -> Sequence[Measured | Failure]:
    with progress_bar() as bar:
        task = bar.add_task(f"measuring on {opened.target.name}", total=len(networks))
        return opened.lab.measure(
            networks, lambda done: bar.update(task, completed=done), fresh=fresh
        )


def _refuse_if_unfit(names: Sequence[str], outcomes: Sequence[Measured | Failure]) -> None:
    """Raise InvalidRequest if there is nothing to show but what is wrong with the networks."""
    faults = [
        f"{name}: {outcome.message}"
        for name, outcome in zip(names, outcomes, strict=True)
        if isinstance(outcome, Failure) and outcome.kind in OF_NETWORKS
    ]
    if len(faults) == len(outcomes):
        raise InvalidRequest("; ".join(faults))


def _exit_if_failed(outcomes: Sequence[Measured | Failure]) -> None:
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        raise typer.Exit(1)


def predict(
    context: typer.Context,
    networks: NetworksArgument,
    inputs: InputsOption = None,
    precision: PrecisionOption = Precision.FP32,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse networks with kinds of kernels that were never measured on the target, "
            "instead of guessing.",
        ),
    ] = False,
) -> None:
    """Predict latencies on a target, without measuring."""
    found = find_networks(networks, inputs, context)
    with session(target, deployment=Deployment(resolution, classes, precision)) as opened:
        with console.status("exporting"):
            known = opened.lab.with_kernels(found)
        show(_predictions_table(opened, networks, known, strict=strict))


def _predictions_table(
    opened: Session,
    names: Sequence[str],
    networks: Sequence[Architecture | Program],
    *,
    strict: bool,
) -> Table:
    """Return the table of predictions, with remarks below it."""
    table = Table("network", "latency", "90 % interval", "from", "coverage")
    estimates = opened.lab.predict_known(networks, strict=strict)
    for name, estimate in zip(names, estimates, strict=True):
        table.add_row(name, *prediction_cells(estimate))
    notes = list(remarks.on_networks(opened, dict(zip(names, networks, strict=True))))
    notes += remarks.on_estimates(dict(zip(names, estimates, strict=True)))
    table.caption = "\n".join(notes)
    return table
