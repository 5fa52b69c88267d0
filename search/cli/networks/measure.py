"""`latlab measure`: measure networks, with a first value after the first visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from host.cli.console import console, show
from latlab.domain.benchmark_spec import MAX_SUSTAINED_S, QUICK_HALF_WIDTH, BenchmarkSpec
from latlab.domain.errors import InvalidRequest
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from search.cli.networks import remarks
from search.cli.networks.live_estimates import LiveEstimates
from search.cli.networks.network_argument import InputsOption, NetworksArgument, find_networks
from search.cli.networks.tables import footprints_table, measurements_table
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
from search.space.deployment import Deployment

INTERRUPTED = 130  # the exit code
KEPT = (
    "Interrupted. The lab keeps the visits that were made, and makes no more: the same command goes"
    " on with them. `latlab jobs` lists what is paused, and `latlab jobs cancel` ends it."
)


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
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=f"Stop as soon as the 90 % interval is ±{QUICK_HALF_WIDTH:.0%} or narrower, and"
            " time no single kernels.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = False,
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
    """Measure networks on a target.

    A first value is shown after the first visit, with an interval that narrows. Ctrl-C keeps the
    visits that were made.
    """
    found = find_networks(networks, inputs, context)
    spec = _spec(quick, sustained_s)
    with session(target, spec, priority, Deployment(resolution, classes, precision)) as opened:
        outcomes = measured(opened, networks, found, fresh=fresh)
        _refuse_if_unfit(networks, outcomes)
        _show(opened, networks, outcomes)
    exit_if_failed(outcomes)


def measured(
    opened: Session, names: Sequence[str], networks: Sequence[Network], *, fresh: bool = False
) -> Sequence[Measured | Failure]:
    """Measure networks and show their provisional latencies meanwhile.

    Ctrl-C shows the latencies so far and ends the command. The lab keeps the visits.
    """
    live = LiveEstimates(names, opened.target.name)
    try:
        with live:
            return opened.lab.measure(
                networks, live.done, live.update, fresh=fresh, pause_when_left=True
            )
    except KeyboardInterrupt:
        if live.estimates:
            show(live.table(sorted(live.estimates)))
        console.print(KEPT)
        raise typer.Exit(INTERRUPTED) from None


def exit_if_failed(outcomes: Sequence[Measured | Failure]) -> None:
    """End the command with exit code 1 if a network could not be measured."""
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        raise typer.Exit(1)


def _spec(quick: bool, sustained_s: int | None) -> BenchmarkSpec | None:
    """Return how to measure. Raises InvalidRequest for options that exclude each other."""
    if quick and sustained_s:
        raise InvalidRequest("--quick and --sustained exclude each other: leave out one of them")
    if sustained_s:
        return BenchmarkSpec.sustained(sustained_s)
    return BenchmarkSpec.quick() if quick else None


def _show(opened: Session, names: Sequence[str], outcomes: Sequence[Measured | Failure]) -> None:
    programs = {
        name: outcome.program
        for name, outcome in zip(names, outcomes, strict=True)
        if isinstance(outcome, Measured) and outcome.program is not None
    }
    show(measurements_table(names, outcomes, remarks.on_networks(opened, programs)))
    if any(isinstance(outcome, Measured) and outcome.footprint for outcome in outcomes):
        show(footprints_table(names, outcomes))


def _refuse_if_unfit(names: Sequence[str], outcomes: Sequence[Measured | Failure]) -> None:
    """Raise InvalidRequest if there is nothing to show but what is wrong with the networks."""
    faults = [
        f"{name}: {outcome.message}"
        for name, outcome in zip(names, outcomes, strict=True)
        if isinstance(outcome, Failure) and outcome.kind in OF_NETWORKS
    ]
    if len(faults) == len(outcomes):
        raise InvalidRequest("; ".join(faults))
