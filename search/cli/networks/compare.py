"""`latlab compare`: the ratio of two networks' latencies, for people and as a gate for changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from host.cli.console import console, errors, progress_bar, show, words
from host.measuring.comparison import Comparison
from host.measuring.sequential import RatioEstimate
from latlab.domain.benchmark_spec import MAX_VISITS, MIN_PAIRS
from latlab.domain.errors import InvalidRequest, LabError
from latlab.domain.estimate import HEAT_UNKNOWN
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile, program_of
from search.cli.networks import remarks
from search.cli.networks.gate_report import GateReport, junit_file, write_junit
from search.cli.networks.network_argument import NETWORK_HELP, InputsOption, find_networks
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    MEASURING_PANEL,
    ClassesOption,
    PrecisionOption,
    ResolutionOption,
    Session,
    TargetOption,
    finite,
    given_options,
    session,
)
from search.latency.gate import Limits, Source, check_inputs, run_gate
from search.latency.networks import Network
from search.space.deployment import Deployment

GATE_PANEL = "A limit, for scripts and CI"
SMALLEST_LIMIT, LARGEST_LIMIT = 0.01, 100.0
MOST_MINUTES = 24 * 60.0
DEFAULT_MINUTES = 5.0

_OF_GATE = ("--max-minutes", "--baseline", "--json", "--junit")


@dataclass(frozen=True)
class _Gate:
    """What the options of the panel say. `baseline` and `junit` are None where not given."""

    limits: Limits
    baseline: str | None
    as_json: bool
    junit: Path | None


def compare(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK_HELP)],
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER",
            help="The network to compare the first with. With --max-ratio, the first is the OLD"
            " one and this is the NEW one. With --baseline, it is left out.",
        ),
    ] = None,
    inputs: InputsOption = None,
    precision: PrecisionOption = Precision.FP32,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    pairs: Annotated[
        int,
        typer.Option(
            min=MIN_PAIRS,
            max=MAX_VISITS,
            help="Number of pairs of visits, one for each network in turn, without --max-ratio.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = 20,
    max_ratio: Annotated[
        float | None,
        typer.Option(
            min=SMALLEST_LIMIT,
            max=LARGEST_LIMIT,
            callback=finite,
            help="Compare OLD and NEW, as `latlab compare OLD NEW`, until it is clear on which side"
            " of this limit the ratio NEW/OLD lies. The exit code is 0 if NEW is not slower, 1 if"
            " it is slower, 3 if this is undecided, and 2 for an error.",
            rich_help_panel=GATE_PANEL,
        ),
    ] = None,
    max_minutes: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=MOST_MINUTES,
            callback=finite,
            help="How many minutes measuring may take before it is undecided.",
            rich_help_panel=GATE_PANEL,
        ),
    ] = DEFAULT_MINUTES,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Take the program that `latlab baselines set NAME` has kept for OLD. The only"
            " argument is NEW.",
            rich_help_panel=GATE_PANEL,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the result as JSON, and nothing else.",
            rich_help_panel=GATE_PANEL,
        ),
    ] = False,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the result as a JUnit file as well.",
            rich_help_panel=GATE_PANEL,
        ),
    ] = None,
) -> None:
    """Measure two networks in turn, and report how many times as long the first one takes.

    This detects a difference of 1 % on a noisy machine. With --max-ratio it is a gate for changes:
    the arguments are OLD and NEW, and the ratio is NEW/OLD.
    """
    _check_options(context, max_ratio)
    names = _names(first, second, baseline)
    found = find_networks([name for name in names if name is not None], inputs, context)
    deployment = Deployment(resolution, classes, precision)
    if max_ratio is None:
        _compare_pairs((first, str(second)), found, pairs, target, deployment)
    else:
        gate = _Gate(Limits(max_ratio, max_minutes), baseline, as_json, junit)
        report = _gated(names, found, gate, target, deployment)
        raise typer.Exit(report.exit_code)


def _check_options(context: typer.Context, max_ratio: float | None) -> None:
    """Raise InvalidRequest if an option has no effect."""
    given = given_options(context)
    if max_ratio is None:
        idle = [option for option in _OF_GATE if option in given]
        if idle:
            raise InvalidRequest(f"{idle[0]} has no effect without --max-ratio: give a limit")
    elif "--pairs" in given:
        raise InvalidRequest(
            "--pairs has no effect with --max-ratio, which measures until it is clear: use"
            " --max-minutes"
        )


def _names(first: str, second: str | None, baseline: str | None) -> tuple[str | None, str]:
    """Return the arguments for OLD and NEW; None for an OLD that is a baseline."""
    if baseline is None:
        if second is None:
            raise InvalidRequest(f"{first} is compared with nothing: name two networks")
        return first, second
    if second is not None:
        raise InvalidRequest(
            f"--baseline {baseline} stands for the old network: name only the new one, not both"
            f" {first} and {second}"
        )
    return None, first


def _compare_pairs(
    names: tuple[str, str],
    networks: Sequence[Network],
    pairs: int,
    target: str | None,
    deployment: Deployment,
) -> None:
    with session(target, deployment=deployment) as opened:
        with console.status("exporting"):
            files = opened.lab.programs(networks)
        result = _compared(opened, files, pairs)
        programs = {name: file.program for name, file in zip(names, files, strict=True)}
        _show_comparison(names, result, remarks.on_networks(opened, programs))


def _compared(opened: Session, files: Sequence[ProgramFile], pairs: int) -> Comparison | Failure:
    first, second = files
    with progress_bar() as bar:
        task = bar.add_task(f"measuring in turn on {opened.target.name}", total=2 * pairs)
        return opened.lab.compare(
            first, second, pairs, lambda visits: bar.update(task, completed=visits)
        )


def _show_comparison(
    names: tuple[str, str], result: Comparison | Failure, notes: Iterable[str]
) -> None:
    if isinstance(result, Failure):
        console.print(words((result.kind.value, "red"), f": {result.message}"))
        raise typer.Exit(1)
    first, second = names
    console.print(
        f"{first} takes {result.ratio:.3f} times as long as {second}"
        f" (90 % interval {result.lower:.3f} to {result.upper:.3f}, {result.pairs} pairs)."
    )
    for note in [HEAT_UNKNOWN] * result.heat_unknown + [*notes]:
        console.print(note)


def _gated(
    names: tuple[str | None, str],
    networks: Sequence[Network],
    gate: _Gate,
    target: str | None,
    deployment: Deployment,
) -> GateReport:
    """Measure, show and write the report, and return it."""
    old, new = names[0] or f"baseline {gate.baseline}", names[1]
    with _errors_in_junit(gate.junit, f"{new} against {old}"):
        with session(target, deployment=deployment) as opened:
            report = _measured(opened, (old, new), networks, gate)
        if gate.junit is not None:
            write_junit(gate.junit, report.junit())
    if gate.as_json:
        typer.echo(report.json())
    else:
        _show_report(report)
    return report


def _measured(
    opened: Session, names: tuple[str, str], networks: Sequence[Network], gate: _Gate
) -> GateReport:
    screen = errors if gate.as_json else console  # stdout is for the document
    with screen.status("exporting"):
        sources: list[Source] = list(opened.lab.programs(networks))
    if gate.baseline is not None:
        sources.insert(0, opened.client.baselines.get(gate.baseline))
    old, new = sources
    check_inputs(names, program_of(old), program_of(new))
    with screen.status(text := f"measuring in turn on {opened.target.name}") as status:

        def show_ratio(known: RatioEstimate) -> None:
            status.update(f"{text}: new/old {known.ratio:.3f} after {known.pairs} clean pairs")

        result = run_gate(opened.client, opened.target, (old, new), gate.limits, show_ratio)
    if isinstance(result, Failure):
        raise LabError(f"{result.kind.value}: {result.message}")
    return GateReport(*names, opened.target.name, gate.limits.max_minutes, result)


def _show_report(report: GateReport) -> None:
    console.print(f"{report.sentence()}.")
    for note in report.notes():
        console.print(note)
    if report.result.kernels:
        show(report.kernels_table())


@contextmanager
def _errors_in_junit(path: Path | None, name: str) -> Iterator[None]:
    """Write an error that ends the command into the JUnit file as well."""
    try:
        yield
    except LabError as error:
        if path is not None:
            write_junit(path, junit_file(name, 0.0, ("error", str(error), "")))
        raise
