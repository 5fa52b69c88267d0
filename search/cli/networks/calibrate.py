"""`latlab calibrate` and `repeatability`: measuring for a predictor, and judging the noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean, median, stdev
from typing import Annotated

import typer
from rich.progress import Progress, TaskID
from rich.table import Table

from host.cli.console import console, milliseconds, progress_bar, show
from latlab.domain.errors import InvalidRequest
from latlab.domain.failure import Failure
from latlab.domain.precision import Precision
from latlab.domain.target import Target, build_before
from search.cli.calibration_run import measure_all, refit, run_calibration
from search.cli.networks.network_argument import InputsOption, find_networks
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
    given_options,
    session,
)
from search.latency.calibration import CANDIDATES, random_networks
from search.latency.missing_kernels import missing_kernels, operator_programs
from search.latency.networks import Network, export_spec, kernels_of, program_source
from search.latency.probes import probe_specs
from search.latency.upgrade import change, networks_after_upgrade
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.space import mnasnet_space
from search.study.settings import CalibrationSettings

DEFAULT_NETWORKS = CalibrationSettings().networks


def calibrate(
    context: typer.Context,
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
    after_upgrade: Annotated[
        bool,
        typer.Option(
            "--after-upgrade",
            help="Measure ten networks again that were measured before an upgrade of OS, runtime "
            "or runner, and say by how much latencies changed.",
            rich_help_panel=MEASURING_PANEL,
        ),
    ] = False,
    needed_by: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="NETWORK",
            help="Measure only the single operators of this network that no measured network has, "
            "and that are unlike all measured ones. Repeat the option for several networks.",
        ),
    ] = None,
    inputs: InputsOption = None,
    target: TargetOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    precision: PrecisionOption = Precision.FP32,
    priority: PriorityOption = 0,
) -> None:
    """Measure networks on a target and fit its predictor.

    Random networks of the space are measured, and probes of every kernel kind.
    Networks that were measured before are not measured again. Each precision is calibrated alone.
    With --for, only what the predictor lacks for a network of yours is measured.
    """
    deployment = Deployment(resolution, classes, precision)
    found = _networks(needed_by, inputs, context)
    with session(target, priority=priority, deployment=deployment) as opened:
        if found:
            failed = _measure_missing(opened, found)
        elif after_upgrade:
            failed = _measure_again(opened)
        else:
            failed = _measure_space(opened, networks, with_probes=not transfer)
        if transfer:
            _show_transfer(opened)
        else:
            refit(opened)
    if failed:
        raise typer.Exit(1)


def _measure_space(opened: Session, networks: int, *, with_probes: bool) -> int:
    """Measure random networks of the space and probes, and return how many failed."""
    probes = probe_specs(deployment=opened.deployment) if with_probes else []
    return run_calibration(opened, mnasnet_space(), networks, probes)


def _networks(
    texts: list[str] | None, inputs: list[str] | None, context: typer.Context
) -> list[Network]:
    """Return the networks of --for.

    Raises:
        InvalidRequest: There is no such network, or an option has no effect beside it.
    """
    given = set(given_options(context))
    if "--after-upgrade" in given:
        for option in {"--transfer", "--networks"} & given:
            raise InvalidRequest(
                f"{option} has no effect beside --after-upgrade, which measures ten networks of"
                " the build before: leave it out"
            )
    if not texts:
        if inputs:
            raise InvalidRequest("--input is for the networks of --for: leave it out")
        return []
    needless = {"--transfer", "--networks", "--after-upgrade"}
    for option in needless & given:
        raise InvalidRequest(
            f"{option} has no effect beside --for, which measures single operators only: leave it"
            " out"
        )
    return find_networks(texts, inputs, context)


def _measure_missing(opened: Session, networks: Sequence[Network]) -> int:
    """Measure the operators that the predictor lacks, and return how many failed."""
    with console.status("exporting"):
        kernels = [
            kernel
            for network in opened.lab.with_kernels(networks)
            for kernel in kernels_of(network, opened.deployment)
        ]
        sources = [program_source(network, opened.deployment) for network in networks]
        measured = opened.client.measured_networks(opened.target.id)
        missing = missing_kernels(kernels, measured)
        programs = operator_programs(sources, missing, opened.pool) if missing else []
    failed = measure_all(opened, programs) if programs else 0
    remaining = missing_kernels(missing, opened.client.measured_networks(opened.target.id))
    console.print(
        f"{len(missing)} of {len(set(kernels))} kernels were unlike all measured ones; "
        f"{len(programs) - failed} single operators were measured, and {len(remaining)} remain."
    )
    for kernel in remaining:
        console.print(f"not measured: {kernel}", style="yellow")
    return failed


def _measure_again(opened: Session) -> int:
    """Measure networks that were measured before an upgrade, and return how many failed.

    Raises:
        InvalidRequest: The lab does not know the device with other software.
    """
    status = build_before(opened.target, opened.client.targets())
    if status is None:
        raise InvalidRequest(
            f"nothing was measured on {opened.target.name} with other software: leave"
            " --after-upgrade out"
        )
    client, form = opened.client, opened.deployment
    before = client.measured_networks(status.target.id)
    after = client.measured_networks(opened.target.id)
    networks = networks_after_upgrade(mnasnet_space(), before, after, form)
    failed = measure_all(opened, [export_spec(network, deployment=form) for network in networks])
    changed = change(before, client.measured_networks(opened.target.id))
    if changed is None:
        console.print("Fewer than two networks were measured before and after the upgrade.")
        return failed
    console.print(
        f"Latencies are {changed.mean:.3f} times those of {_software(status.target)} (90 % interval"
        f" {changed.lower:.3f} to {changed.upper:.3f}; {len(changed.ratios)} networks, from"
        f" {changed.ratios[0]:.3f} to {changed.ratios[-1]:.3f} times)."
    )
    return failed


def _software(target: Target) -> str:
    return f"{target.os_build}, {target.runtime_version}, runner {target.runner_build[:8]}"


def _show_transfer(opened: Session) -> None:
    from search.latency.transfer import transfer_errors

    judged = transfer_errors(opened.client, opened.target, opened.deployment)
    sources = ", ".join(f"{source.name} ({source.id})" for source in judged.sources)
    console.print(f"Transferred from: {sources}.")
    errors = judged.errors
    console.print(
        f"Each of the {len(errors)} networks was predicted from the others: the mean error is "
        f"{errors.mean():.1%}, and {(errors <= 0.1).mean():.0%} are within ±10 %."
    )
    console.print("`latlab predict` blends this with what was measured here, by its precision.")


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
