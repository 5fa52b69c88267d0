"""Shared parts of the commands: options, their bounds, and the lab that they open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import typer

from host.cli.console import errors, reported
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import MEASURE_TIMEOUT_S
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.precision import Precision
from latlab.domain.target import Target
from latlab.export import ExportPool, ProgramCache
from search.latency.lab import Lab
from search.latency.multi_target_lab import MultiTargetLab, NamedLab
from search.latency.target_lab import TargetLab
from search.space.deployment import Deployment
from search.study.combined_latency import Combination
from search.study.settings import SearchTarget

# Options allow no more than these values. Larger ones make no sense and overflow somewhere.
MOST_MS = 1e7  # nearly three hours
MOST_MILLIONS = 1e6
MOST_MINUTES = 1e6
MOST_SECONDS = 1e6
MOST_WEIGHT = 1e6
MOST_EPOCHS = 100_000
MOST_IMAGES = 10**9
MOST_PIXELS = 2048  # height and width
MOST_CLASSES = 100_000
MOST_SEED = 2**32 - 1

TARGETS_PANEL = "Targets and deployment"
MEASURING_PANEL = "Measurements"
INT8_CALIBRATION = (
    "Programs in int8 are calibrated on a network's example inputs, else on random ones, which"
    " changes their outputs, not their latency."
)

TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="The target, by id or name. The default is the first device with one thread.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Measure again what the lab has measured already.",
        rich_help_panel=MEASURING_PANEL,
    ),
]
PriorityOption = Annotated[
    int,
    typer.Option(
        "--priority",
        min=-100,
        max=100,
        help="Measurements of a higher priority are made before others.",
        rich_help_panel=MEASURING_PANEL,
    ),
]
ResolutionOption = Annotated[
    int,
    typer.Option(
        min=32,
        max=MOST_PIXELS,
        help="Height and width, in pixels, of the images that deployed networks take.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
ClassesOption = Annotated[
    int,
    typer.Option(
        min=2,
        max=MOST_CLASSES,
        help="Number of classes that deployed networks tell apart.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="The type that programs compute with. int8 is quantized after training, by channel,"
        " and calibrated on the network's own example inputs, else on random ones.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
DEFAULT_RESOLUTION, DEFAULT_CLASSES = Deployment().resolution, Deployment().classes

T = TypeVar("T", float, list[float], None)


def finite(value: T) -> T:
    """Refuse NaN, which lies within all bounds of an option, and infinity.

    Typer calls it with an option's value, or with its list of values.
    """
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter(f"{number} is not a finite number.")
    return value


def given_options(context: typer.Context) -> list[str]:
    """Return the options that stand on the command line."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name
        and (source := context.get_parameter_source(parameter.name)) is not None
        and source.name == "COMMANDLINE"
    ]


# Two cores export twice as fast as one. More would only wait for the device.
EXPORT_WORKERS = 2


@dataclass(frozen=True)
class Session:
    """A target of the running lab, and what measures and predicts there.

    Attributes:
        client: The client of the lab.
        target: The target.
        lab: Measures and predicts on the target.
        pool: Exports networks.
        deployment: The form of deployed networks.
    """

    client: LatencyClient
    target: Target
    lab: TargetLab
    pool: ExportPool
    deployment: Deployment = field(default_factory=Deployment)


@contextmanager
def session(
    target: str | None,
    spec: BenchmarkSpec | None = None,
    priority: int = 0,
    deployment: Deployment | None = None,
) -> Iterator[Session]:
    """Open the running lab and one of its targets. The arguments are those of `sessions`."""
    targets = [] if target is None else [target]
    with sessions(targets, spec, priority, deployment=deployment) as [opened]:
        yield opened


@contextmanager
def sessions(
    targets: Sequence[str],
    spec: BenchmarkSpec | None = None,
    priority: int = 0,
    patience_s: float = MEASURE_TIMEOUT_S,
    deployment: Deployment | None = None,
) -> Iterator[list[Session]]:
    """Open the running lab and a session for each target. Errors end the command.

    Args:
        targets: Ids or names of targets; none stands for the default target.
        spec: How to measure; None stands for the default.
        priority: Priority of the measurements.
        patience_s: Seconds without a visit after which measuring is given up.
        deployment: The form of deployed networks; None stands for the default.
    """
    home = LabHome.from_environment()
    form = deployment or Deployment()
    if form.precision is Precision.INT8:
        errors.print(INT8_CALIBRATION)  # stdout may be for a document
    with (
        reported(ValueError),
        LatencyClient.connect() as client,
        ExportPool(ProgramCache(home.exports), EXPORT_WORKERS) as pool,
    ):
        found = list(map(client.find_target, targets)) or [client.default_target()]
        yield [
            Session(
                client,
                target,
                TargetLab(client, target, pool, spec, priority, patience_s, deployment=form),
                pool,
                form,
            )
            for target in found
        ]


def lab_on(opened: Sequence[Session], targets: tuple[SearchTarget, ...]) -> Lab:
    """Return what predicts and measures on one target, or on several targets together."""
    if len(opened) == 1:
        return opened[0].lab
    labs = [NamedLab(on_target.target.name, on_target.lab) for on_target in opened]
    return MultiTargetLab(labs, Combination(targets), opened[0].lab.export)
