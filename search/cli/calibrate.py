"""`latlab calibrate`, `evaluate` and `repeatability`: making a predictor and judging it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean, median, stdev
from typing import Annotated

import typer
from rich.progress import Progress, TaskID
from rich.table import Table

from host.cli.console import console, milliseconds, progress_bar, show
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.export import ExportSpec
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    MEASURING_PANEL,
    ClassesOption,
    PrecisionOption,
    PriorityOption,
    ResolutionOption,
    Session,
    TargetOption,
    session,
)
from search.latency.calibration import CANDIDATES, calibration_networks, random_networks
from search.latency.networks import export_spec
from search.latency.probes import probe_specs
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.space import Space, mnasnet_space
from search.study.settings import CalibrationSettings

DEFAULT_NETWORKS = CalibrationSettings().networks


def calibrate(
    networks: Annotated[
        int,
        typer.Option(
            "--networks",
            "-n",
            min=4,
            max=CANDIDATES,
            help="Number of networks of the space to have measured in all.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = DEFAULT_NETWORKS,
    transfer: Annotated[
        bool,
        typer.Option(
            "--transfer",
            help="Rely on predictors of the lab's other targets. Then 10 networks are enough.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = False,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    precision: PrecisionOption = Precision.FP32,
    priority: PriorityOption = 0,
) -> None:
    """Measure networks on a target and fit its predictor.

    The most informative networks of the space are measured, and probes of every kernel kind.
    Networks that were measured before are not measured again. Each precision is calibrated alone.
    """
    settings = CalibrationSettings(networks, transfer)
    deployment = Deployment(resolution, classes, precision)
    with session(target, priority=priority, deployment=deployment) as opened:
        probes = [] if transfer else probe_specs(deployment=opened.deployment)
        failed = run_calibration(opened, mnasnet_space(), settings.networks, probes)
        if transfer:
            _show_transfer(opened)
        else:
            _refit(opened)
    if failed:
        raise typer.Exit(1)


def run_calibration(
    opened: Session, space: Space, count: int, probes: Sequence[ExportSpec] = ()
) -> int:
    """Measure the most informative networks of a space, and return how many failed.

    Args:
        opened: The target.
        space: The space whose latencies will be predicted.
        count: Number of networks of the space to have measured in all.
        probes: Other networks to measure.
    """
    form = opened.deployment
    measured = opened.client.measured_networks(opened.target.id)
    networks = calibration_networks(space, count, measured, deployment=form)
    specs = [*(export_spec(network, deployment=form) for network in networks), *probes]
    with progress_bar() as bar:
        task = bar.add_task(f"calibrating {opened.target.name}", total=len(specs))
        outcomes = opened.lab.measure_specs(specs, lambda done: bar.update(task, completed=done))
    failed = 0
    for spec, outcome in zip(specs, outcomes, strict=True):
        if isinstance(outcome, Failure):
            failed += 1
            console.print(f"{spec.key}: {outcome.kind.value}: {outcome.message}", style="yellow")
    return failed


def _refit(opened: Session) -> None:
    measurements, fit_s = opened.client.refit(opened.target.id)
    console.print(f"The predictor was fitted on {measurements} networks in {fit_s:.1f} s.")


def _show_transfer(opened: Session) -> None:
    from search.latency.transfer import predict_from_other_targets

    transferred = predict_from_other_targets(
        opened.client, opened.target, [], deployment=opened.deployment
    )
    sources = ", ".join(f"{source.name} ({source.id})" for source in transferred.sources)
    console.print(f"Transferred from: {sources}.")
    errors = transferred.errors
    console.print(
        f"Each of the {len(errors)} networks was predicted from the others: the mean error is "
        f"{errors.mean():.1%}, and {(errors <= 0.1).mean():.0%} are within ±10 %."
    )
    console.print("`latlab predict` predicts this way until the target has a predictor of its own.")


def repeatability(
    networks: Annotated[
        int, typer.Option(min=1, max=50, help="Number of networks to measure.")
    ] = 5,
    times: Annotated[
        int, typer.Option(min=2, max=100, help="Number of measurements of each network.")
    ] = 5,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    precision: PrecisionOption = Precision.FP32,
) -> None:
    """Measure a few networks repeatedly, and report how much their latencies vary.

    No prediction can be more accurate than this noise.
    """
    chosen = random_networks(mnasnet_space(), networks)
    with session(target, deployment=Deployment(resolution, classes, precision)) as opened:
        latencies_ns = _measured_repeatedly(opened, chosen, times)
    show(_variation_table(chosen, latencies_ns))
    if any(len(known) < times for known in latencies_ns):
        raise typer.Exit(1)


def _variation_table(
    networks: Sequence[Architecture], latencies_ns: Sequence[Sequence[int]]
) -> Table:
    table = Table("network", "measured", "median", "coefficient of variation")
    for network, known in zip(networks, latencies_ns, strict=True):
        middle = milliseconds(median(known)) if known else ""
        variation = f"{stdev(known) / fmean(known):.2%}" if len(known) > 1 else ""
        table.add_row(network.id[:12], str(len(known)), middle, variation)
    return table


def _measured_repeatedly(
    opened: Session, networks: Sequence[Architecture], times: int
) -> list[list[int]]:
    """Return the latencies of each network in ns, without failed measurements."""
    latencies_ns: list[list[int]] = [[] for _ in networks]
    with progress_bar() as bar:
        task = bar.add_task(f"measuring on {opened.target.name}", total=times * len(networks))
        for round_ in range(times):
            advance = partial(_advance, bar, task, round_ * len(networks))
            outcomes = opened.lab.measure(networks, advance, fresh=True)
            for known, outcome in zip(latencies_ns, outcomes, strict=True):
                if not isinstance(outcome, Failure):
                    known.append(outcome.latency.latency_ns)
    return latencies_ns


def _advance(bar: Progress, task: TaskID, before: int, done: int) -> None:
    bar.update(task, completed=before + done)
