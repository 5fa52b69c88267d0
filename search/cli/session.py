"""What the commands share: their options' types, their errors, the lab they open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from host.cli.console import reported
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import MEASURE_TIMEOUT_S
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.target import Target
from latlab.export import ExportPool, ProgramCache
from search.accuracy.data.readers import DatasetError
from search.latency.target_lab import TargetLab

TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="Id or name; by default the first device, one thread."),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Measure again what is known.")]
PriorityOption = Annotated[
    int, typer.Option("--priority", min=-100, max=100, help="Higher is measured first.")
]

T = TypeVar("T", float, list[float], None)

# Options allow no more than these: more makes no sense, and overflows somewhere.
MOST_MS = 1e7  # nearly three hours
MOST_MILLIONS = 1e6
MOST_MINUTES = 1e6
MOST_SECONDS = 1e6
MOST_WEIGHT = 1e6
MOST_EPOCHS = 100_000
MOST_IMAGES = 10**9
MOST_PIXELS = 2048  # a side
MOST_SEED = 2**32 - 1


def finite(value: T) -> T:
    """Refuse what is no number, which is within all bounds that an option has. Typer calls it
    with an option's value, or its list of values."""
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter(f"{number} is not a finite number.")
    return value


# Two cores export twice as fast; more would only wait for the one device.
EXPORT_WORKERS = 2


@dataclass(frozen=True)
class Session:
    client: LatencyClient
    target: Target
    lab: TargetLab


@contextmanager
def session(
    target: str | None, spec: BenchmarkSpec | None = None, priority: int = 0
) -> Iterator[Session]:
    """The running lab, one target of it, and exporters; measured by `spec`, else the
    default. Errors end the command."""
    with sessions([] if target is None else [target], spec, priority) as [opened]:
        yield opened


@contextmanager
def sessions(
    targets: Sequence[str],
    spec: BenchmarkSpec | None = None,
    priority: int = 0,
    patience_s: float = MEASURE_TIMEOUT_S,
) -> Iterator[list[Session]]:
    """One for each target, of the default one where none is named; measuring is given up
    after `patience_s` without a visit."""
    home = LabHome.from_environment()
    with (
        reported(DatasetError, ValueError),
        LatencyClient.connect(home.root) as client,
        ExportPool(ProgramCache(home.exports), EXPORT_WORKERS) as pool,
    ):
        found = list(map(client.find_target, targets)) or [client.default_target()]
        yield [
            Session(client, target, TargetLab(client, target, pool, spec, priority, patience_s))
            for target in found
        ]
