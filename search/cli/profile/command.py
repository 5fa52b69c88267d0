"""`latlab profile`: where the latency of a network goes, alone or beside another one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from host.cli.console import Screen, console, errors, show, words
from latlab.domain.benchmark_spec import MAX_VISITS, MIN_PAIRS, PROFILE_PAIRS
from latlab.domain.errors import InvalidRequest
from latlab.domain.precision import Precision
from latlab.profiling.document import comparison_document, profile_document
from latlab.profiling.findings import Finding, findings
from latlab.profiling.groups import Grouping
from latlab.profiling.profile import Profile
from search.cli.networks.network_argument import NETWORK_HELP, InputsOption, find_networks
from search.cli.profile.findings import findings_document, findings_text, processor_of
from search.cli.profile.sides import Measuring, Other, Side, profiles_of, sides_of
from search.cli.profile.tables import (
    View,
    differences_table,
    fact,
    footnotes,
    profile_table,
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
    TargetOption,
    given_options,
    session,
)
from search.report.profile.files import check_outputs, write_outputs
from search.space.deployment import Deployment

AGAINST_PANEL = "Side by side"
SHOWN_PANEL = "What is shown"
FILES_PANEL = "Files"
_OF_VISITS = ("--fresh", "--pairs", "--priority")
_OF_FILES = ("--html", "--perfetto", "--model-explorer")
_OF_OTHERS = ("--against", "--against-precision", "--against-target")


def profile(
    context: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK_HELP)],
    inputs: InputsOption = None,
    precision: PrecisionOption = Precision.FP32,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    fresh: FreshOption = False,
    priority: PriorityOption = 0,
    pairs: Annotated[
        int,
        typer.Option(
            min=MIN_PAIRS,
            max=MAX_VISITS,
            help="Number of pairs of an untraced and a traced visit. More narrow the intervals.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = PROFILE_PAIRS,
    predict: Annotated[
        bool,
        typer.Option(
            "--predict",
            help="Predict the times of the kernels instead of measuring, for a target that has "
            "never run the network.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="Show the kernels of this network beside those of the first, the largest change "
            "first.",
            rich_help_panel=AGAINST_PANEL,
        ),
    ] = None,
    against_precision: Annotated[
        Precision | None,
        typer.Option(
            help="The other network's precision, to show two precisions side by side.",
            rich_help_panel=AGAINST_PANEL,
        ),
    ] = None,
    against_target: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="The other network's target, to show two targets side by side.",
            rich_help_panel=AGAINST_PANEL,
        ),
    ] = None,
    by: Annotated[
        Grouping | None,
        typer.Option(
            help="Group the kernels by module, kind or line, the slowest group first.",
            rich_help_panel=SHOWN_PANEL,
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Show all kernels and not the 20 slowest; with --by, all groups, and modules by "
            "their whole paths.",
            rich_help_panel=SHOWN_PANEL,
        ),
    ] = False,
    no_source: Annotated[
        bool,
        typer.Option(
            "--no-source",
            help="Leave out the modules and lines of your code.",
            rich_help_panel=SHOWN_PANEL,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write the whole profile as JSON instead of a table. Times are in ns.",
            rich_help_panel=SHOWN_PANEL,
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page with the findings, a map of the modules and all kernels.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    perfetto: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write one run as a trace for ui.perfetto.dev.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    model_explorer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the times of the kernels as node data for Model Explorer, and a graph "
            "beside them.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
) -> None:
    """Show where the latency of a network goes: its kernels and a rest, with time and share.

    Kernels are timed in traced visits, each right beside an untraced one. The rest is what no
    kernel accounts for. A profile that the lab has already is shown again without measuring.
    """
    other = Other(against, against_precision, against_target)
    _check(given_options(context), by, predict=predict, no_source=no_source)
    check_outputs(html, perfetto, model_explorer)
    how = Measuring(None if predict else pairs, fresh, priority, errors if as_json else console)
    names = [network, against or network] if other.is_given else [network]
    networks = find_networks(names, inputs, context)
    with session(target, deployment=Deployment(resolution, classes, precision)) as opened:
        sides = sides_of(opened, names, networks, other)
        profiles = profiles_of(opened, sides, how)
        found = findings(profiles[0], processor_of(opened, sides[0].target))
    if no_source:
        profiles = [each.without_sources() for each in profiles]
    (_documents if as_json else _tables)(profiles, sides, View(by, every), found)
    _write(profiles[0], found, how.screen, html, perfetto, model_explorer)


def _check(
    given: Sequence[str], grouping: Grouping | None, *, predict: bool, no_source: bool
) -> None:
    """Raise InvalidRequest if an option has no effect beside the others."""
    for option in _OF_VISITS:
        if predict and option in given:
            raise InvalidRequest(
                f"{option} has no effect beside --predict, which measures nothing: leave it out"
            )
    if no_source and grouping in (Grouping.MODULE, Grouping.LINE):
        raise InvalidRequest(
            f"--no-source leaves out what --by {grouping.value} groups by: leave out one of them"
        )
    for option in _OF_FILES:
        if option in given and any(other in given for other in _OF_OTHERS):
            raise InvalidRequest(
                f"{option} is for one network: profile each of them by itself to write its file"
            )
    for option in ("--by", "--all"):
        if "--json" in given and option in given:
            raise InvalidRequest(f"{option} has no effect beside --json, which holds all kernels")


def _write(
    profile: Profile,
    found: Sequence[Finding],
    screen: Screen,
    html: Path | None,
    perfetto: Path | None,
    model_explorer: Path | None,
) -> None:
    """Write the files that were asked for, and say which these are."""
    for path in write_outputs(profile, found, html, perfetto, model_explorer):
        screen.print(words(f"{path} is written"))


def _documents(
    profiles: Sequence[Profile], sides: Sequence[Side], view: View, found: Sequence[Finding]
) -> None:
    first, *others = profiles
    if others:
        document = comparison_document(first, others[0])
    else:
        document = profile_document(first) | {"findings": findings_document(found)}
    typer.echo(json.dumps(document, indent=2))


def _tables(
    profiles: Sequence[Profile], sides: Sequence[Side], view: View, found: Sequence[Finding]
) -> None:
    first, *others = profiles
    labels = [side.label for side in sides]
    heads = [f"{label}: " if others else "" for label in labels]
    for head, each in zip(heads, profiles, strict=True):
        console.print(fact(each) if head.startswith(each.network) else f"{head}{fact(each)}")
    for second in others:
        show(differences_table(first, second, labels, view))
    if not others:
        show(profile_table(first, view))
        for line in findings_text(first, found):
            console.print(words(line))
    for head, each in zip(heads, profiles, strict=True):
        for line in footnotes(each):
            console.print(f"{head}{line}")
