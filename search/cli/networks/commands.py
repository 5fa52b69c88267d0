"""`latlab zoo` and `predict`: commands about single networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, show
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.program import Program
from search.cli.networks import remarks
from search.cli.networks.measure import exit_if_failed, measured
from search.cli.networks.network_argument import (
    InputsOption,
    NetworksArgument,
    find_networks,
)
from search.cli.networks.tables import (
    prediction_cells,
    zoo_table,
)
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    MEASURING_PANEL,
    ClassesOption,
    PrecisionOption,
    ResolutionOption,
    Session,
    TargetOption,
    session,
)
from search.latency.lab import Measured
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
            outcomes = measured(opened, list(ZOO), list(ZOO.values()))
    show(zoo_table(deployment, outcomes))
    exit_if_failed(outcomes)


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
