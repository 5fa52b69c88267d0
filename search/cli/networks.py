"""`latlab zoo`, `measure`, `predict` and `compare`: the commands about single networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from host.cli.console import console, milliseconds, progress_bar, show, words
from host.measuring.comparison import MIN_PAIRS, Comparison
from latlab.domain.benchmark_spec import MAX_SUSTAINED_S, MAX_VISITS, BenchmarkSpec
from latlab.domain.errors import InvalidRequest, NotReady
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
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
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.zoo import ZOO
from search.study.architecture_file import read_architecture

STEADIED = "steadied: the learned effect of other work on the memory is removed"
UNTRACED = "no kernel times for some: their traces do not match their kernels"
HEAT_UNKNOWN = "heat unknown: the device does not report whether heat slows it down"
NETWORK_HELP = "A name from `latlab zoo`, or a JSON file as `latlab search` writes it."

NetworksArgument = Annotated[
    list[str],
    typer.Argument(help="Names from `latlab zoo`, or JSON files as `latlab search` writes them."),
]


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
    show(_zoo_table(deployment, outcomes))
    _exit_if_failed(outcomes)


def _zoo_table(deployment: Deployment, outcomes: Sequence[Measured | Failure]) -> Table:
    """Return the table of the zoo, with a column of latencies if there are outcomes."""
    latency = [f"latency{deployment.in_precision}"] if outcomes else []
    table = Table("network", "parameters", "multiply-adds", *latency)
    for number, (name, architecture) in enumerate(ZOO.items()):
        total = counts(architecture, deployment=deployment)
        row = [name, f"{total.parameters:,}", f"{total.multiply_adds / 1e6:.1f} M"]
        table.add_row(*row, *map(_in_words, outcomes[number : number + 1]))
    table.caption = _remarks(outcomes)
    return table


def _in_words(outcome: Measured | Failure) -> str:
    if isinstance(outcome, Failure):
        return f"failed: {outcome.message}"
    return milliseconds(outcome.latency.latency_ns)


def measure(
    networks: NetworksArgument,
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
    architectures = list(map(find_network, networks))
    spec = BenchmarkSpec.sustained(sustained_s) if sustained_s else None
    with session(target, spec, priority, Deployment(resolution, classes)) as opened:
        outcomes = _measured(opened, architectures, fresh=fresh)
    show(_measurements_table(networks, outcomes))
    _exit_if_failed(outcomes)


def _measurements_table(networks: Sequence[str], outcomes: Sequence[Measured | Failure]) -> Table:
    table = Table("network", "latency", "90 % interval", Column("measurement", overflow="fold"))
    table.caption = _remarks(outcomes)
    for name, outcome in zip(networks, outcomes, strict=True):
        if isinstance(outcome, Failure):
            table.add_row(name, words((outcome.kind.value, "red")), outcome.message, "")
        else:
            measurement_id = words((outcome.measurement_id, "dim"))
            table.add_row(name, *_latency(outcome.latency), measurement_id)
    return table


def _remarks(outcomes: Sequence[Measured | Failure]) -> str:
    """Return a line for each remark that holds for an outcome."""
    measured = [outcome for outcome in outcomes if isinstance(outcome, Measured)]
    remarks = {
        STEADIED: any(each.latency.steadied for each in measured),
        HEAT_UNKNOWN: any(each.heat_unknown for each in measured),
        UNTRACED: any(each.untraced for each in measured),
    }
    return "\n".join(remark for remark, holds in remarks.items() if holds)


def _measured(
    opened: Session, architectures: Sequence[Architecture], *, fresh: bool = False
) -> Sequence[Measured | Failure]:
    with progress_bar() as bar:
        task = bar.add_task(f"measuring on {opened.target.name}", total=len(architectures))
        return opened.lab.measure(
            architectures, lambda done: bar.update(task, completed=done), fresh=fresh
        )


def _exit_if_failed(outcomes: Sequence[Measured | Failure]) -> None:
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        raise typer.Exit(1)


def compare(
    first: Annotated[str, typer.Argument(help=NETWORK_HELP)],
    second: Annotated[
        str, typer.Argument(help="The network to compare the first with: a name or a JSON file.")
    ],
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    pairs: Annotated[
        int,
        typer.Option(
            min=MIN_PAIRS,
            max=MAX_VISITS,
            help="Number of pairs of visits, one for each network in turn.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = 20,
) -> None:
    """Measure two networks in turn, and report how many times as long the first one takes.

    This detects a difference of 1 % on a noisy machine.
    """
    networks = find_network(first), find_network(second)
    with session(target, deployment=Deployment(resolution, classes)) as opened:
        result = _compared(opened, *networks, pairs)
    if isinstance(result, Failure):
        console.print(words((result.kind.value, "red"), f": {result.message}"))
        raise typer.Exit(1)
    console.print(
        f"{first} takes {result.ratio:.3f} times as long as {second}"
        f" (90 % interval {result.lower:.3f} to {result.upper:.3f}, {result.pairs} pairs)."
    )
    if result.heat_unknown:
        console.print(HEAT_UNKNOWN)


def _compared(
    opened: Session, first: Architecture, second: Architecture, pairs: int
) -> Comparison | Failure:
    with progress_bar() as bar:
        task = bar.add_task(f"measuring in turn on {opened.target.name}", total=2 * pairs)
        return opened.lab.compare(
            first, second, pairs, lambda visits: bar.update(task, completed=visits)
        )


def predict(
    networks: NetworksArgument,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
) -> None:
    """Predict latencies on a target, without measuring."""
    architectures = list(map(find_network, networks))
    with session(target, deployment=Deployment(resolution, classes)) as opened:
        table = Table("network", "latency", "90 % interval", "from", "coverage")
        for name, cells in zip(networks, _predictions(opened, architectures), strict=True):
            table.add_row(name, *cells)
        show(table)


def _predictions(
    opened: Session, architectures: list[Architecture]
) -> list[tuple[str | Text, ...]]:
    """Return the table's cells of each network.

    They come from the lab's other targets while this one has no predictor.
    """
    try:
        estimates = opened.lab.predict(architectures)
    except NotReady as not_ready:
        try:
            return _from_other_targets(opened, architectures)
        except NotReady as error:
            raise NotReady(f"{not_ready}; other targets do not help: {error}") from error
    return [
        (
            *_latency(estimate),
            estimate.source.value,
            words(f"{estimate.coverage:.0%}", (" low" if estimate.extrapolates else "", "yellow")),
        )
        for estimate in estimates
    ]


def _from_other_targets(
    opened: Session, architectures: list[Architecture]
) -> list[tuple[str | Text, ...]]:
    from search.latency.transfer import predict_from_other_targets

    networks = [kernels(a, deployment=opened.deployment) for a in architectures]
    predicted = predict_from_other_targets(
        opened.client, opened.target, networks, deployment=opened.deployment
    ).predicted
    bounds_ns = zip(predicted.latency_ns, predicted.lower_ns, predicted.upper_ns, strict=True)
    return [(*_interval(*ns), "other targets", "") for ns in bounds_ns]


def find_network(name: str) -> Architecture:
    """Return the network of the zoo, or the network that a file describes.

    Raises:
        InvalidRequest: There is no such network, or the file cannot be read as one.
    """
    if name in ZOO:
        return ZOO[name]
    if not name.endswith(".json"):
        raise InvalidRequest(
            f"there is no network {name!r}: give one of {', '.join(ZOO)}, or a .json file"
        )
    return read_architecture(Path(name))


def _latency(estimate: LatencyEstimate) -> tuple[str, str]:
    return _interval(estimate.latency_ns, estimate.lower_ns, estimate.upper_ns)


def _interval(latency_ns: float, lower_ns: float, upper_ns: float) -> tuple[str, str]:
    return milliseconds(latency_ns), f"{milliseconds(lower_ns)} to {milliseconds(upper_ns)}"
