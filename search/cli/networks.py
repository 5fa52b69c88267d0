"""`latlab zoo`, `latlab measure` and `latlab predict`: single networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from host.cli.console import console, milliseconds, progress_bar, show, words
from host.measuring.comparison import MIN_PAIRS
from latlab.domain.benchmark_spec import MAX_SUSTAINED_S, MAX_VISITS, BenchmarkSpec
from latlab.domain.errors import InvalidRequest, NotReady
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from search.cli.session import FreshOption, PriorityOption, Session, TargetOption, session
from search.latency.lab import Measured
from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.kernels import kernels
from search.space.zoo import ZOO
from search.study.architecture_file import read_architecture

STEADIED = "steadied: less what neighbours on the memory add, as the predictor has learned"

NetworksArgument = Annotated[
    list[str],
    typer.Argument(help="Names from `latlab zoo`, or JSON files as `latlab search` writes them."),
]


def zoo(
    measure: Annotated[bool, typer.Option("--measure", help="Also on the target.")] = False,
    target: TargetOption = None,
) -> None:
    """List the published networks with parameters, multiply-adds and, on request, latency."""
    outcomes: Sequence[Measured | Failure] = []
    if measure:
        with session(target) as opened:
            outcomes = _measured(opened, list(ZOO.values()))
    table = Table("network", "parameters", "multiply-adds", *(["latency"] if measure else []))
    for number, (name, architecture) in enumerate(ZOO.items()):
        total = counts(architecture)
        row = [name, f"{total.parameters:,}", f"{total.multiply_adds / 1e6:.1f} M"]
        table.add_row(*row, *map(_in_words, outcomes[number : number + 1]))
    show(table)
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        raise typer.Exit(1)


def _measured(
    opened: Session, architectures: Sequence[Architecture], *, fresh: bool = False
) -> Sequence[Measured | Failure]:
    with progress_bar() as bar:
        task = bar.add_task(f"measuring on {opened.target.name}", total=len(architectures))
        return opened.lab.measure(
            architectures, lambda done: bar.update(task, completed=done), fresh=fresh
        )


def _in_words(outcome: Measured | Failure) -> str:
    if isinstance(outcome, Failure):
        return f"failed: {outcome.message}"
    return milliseconds(outcome[0].latency_ns)


def measure(
    networks: NetworksArgument,
    target: TargetOption = None,
    fresh: FreshOption = False,
    priority: PriorityOption = 0,
    sustained_s: Annotated[
        int | None,
        typer.Option(
            "--sustained",
            min=1,
            max=MAX_SUSTAINED_S,
            help="Seconds of load before each visit: the latency of a device that is warm.",
        ),
    ] = None,
) -> None:
    """Measure networks on a target."""
    architectures = list(map(find_network, networks))
    spec = BenchmarkSpec.sustained(sustained_s) if sustained_s else None
    with session(target, spec, priority) as opened:
        outcomes = _measured(opened, architectures, fresh=fresh)
    table = Table("network", "latency", "90 % interval", Column("measurement", overflow="fold"))
    for name, outcome in zip(networks, outcomes, strict=True):
        if isinstance(outcome, Failure):
            table.add_row(name, words((outcome.kind.value, "red")), outcome.message, "")
        else:
            table.add_row(name, *_latency(outcome[0]), words((outcome[1], "dim")))
            table.caption = STEADIED if outcome[0].steadied else table.caption
    show(table)
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        raise typer.Exit(1)


def compare(
    first: Annotated[str, typer.Argument(help="A name from `latlab zoo`, or a JSON file.")],
    second: Annotated[str, typer.Argument(help="What it is compared with.")],
    pairs: Annotated[int, typer.Option(min=MIN_PAIRS, max=MAX_VISITS, help="Of visits.")] = 20,
    target: TargetOption = None,
) -> None:
    """Measure two networks in turn and report their ratio: tells 1 % apart on a noisy machine."""
    networks = find_network(first), find_network(second)
    with session(target) as opened:
        with progress_bar() as bar:
            task = bar.add_task(f"measuring in turn on {opened.target.name}", total=2 * pairs)
            result = opened.lab.compare(
                *networks, pairs, lambda visits: bar.update(task, completed=visits)
            )
        if isinstance(result, Failure):
            console.print(words((result.kind.value, "red"), f": {result.message}"))
            raise typer.Exit(1)
        console.print(
            f"{first} takes {result.ratio:.3f} times as long as {second}"
            f" (90 % interval {result.lower:.3f} to {result.upper:.3f}, {result.pairs} pairs)."
        )


def predict(networks: NetworksArgument, target: TargetOption = None) -> None:
    """Predict latencies on a target, without measuring."""
    architectures = list(map(find_network, networks))
    with session(target) as opened:
        table = Table("network", "latency", "90 % interval", "from", "coverage")
        for name, cells in zip(networks, _predictions(opened, architectures), strict=True):
            table.add_row(name, *cells)
        show(table)


def _predictions(
    opened: Session, architectures: list[Architecture]
) -> list[tuple[str | Text, ...]]:
    """The cells of each; from the lab's other targets where this one has no predictor yet."""
    try:
        estimates = opened.lab.predict(architectures)
    except NotReady as not_ready:
        try:
            return _from_other_targets(opened, architectures)
        except NotReady as error:
            raise NotReady(f"{not_ready}; {error}") from error
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

    networks = list(map(kernels, architectures))
    predicted = predict_from_other_targets(opened.client, opened.target, networks).predicted
    bounds_ns = zip(predicted.latency_ns, predicted.lower_ns, predicted.upper_ns, strict=True)
    return [(*_interval(*ns), "other targets", "") for ns in bounds_ns]


def find_network(name: str) -> Architecture:
    """Raises InvalidRequest, saying what there is, or what is wrong with the file."""
    if name in ZOO:
        return ZOO[name]
    if not name.endswith(".json"):
        raise InvalidRequest(f"no network {name!r}: give one of {', '.join(ZOO)}, or a .json file")
    return read_architecture(Path(name))


def _latency(estimate: LatencyEstimate) -> tuple[str, str]:
    return _interval(estimate.latency_ns, estimate.lower_ns, estimate.upper_ns)


def _interval(latency_ns: float, lower_ns: float, upper_ns: float) -> tuple[str, str]:
    return milliseconds(latency_ns), f"{milliseconds(lower_ns)} to {milliseconds(upper_ns)}"
