"""Measure what a target's predictor learns from, and fit it."""

from __future__ import annotations

from collections.abc import Sequence

from host.cli.console import console, progress_bar
from latlab.domain.failure import Failure
from latlab.domain.program import ProgramFile
from latlab.export import ExportSpec
from search.cli.session import Session
from search.latency.calibration import calibration_networks
from search.latency.networks import ProgramSource, export_spec
from search.space.space import Space


def run_calibration(
    opened: Session, space: Space, count: int, probes: Sequence[ExportSpec] = ()
) -> int:
    """Measure random networks of a space, and return how many failed.

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
    return measure_all(opened, specs) if specs else 0


def measure_all(opened: Session, sources: Sequence[ProgramSource]) -> int:
    """Measure programs, and return how many failed. Each failure is printed."""
    with progress_bar() as bar:
        task = bar.add_task(f"calibrating {opened.target.name}", total=len(sources))
        outcomes = opened.lab.measure_specs(sources, lambda done: bar.update(task, completed=done))
    failed = 0
    for source, outcome in zip(sources, outcomes, strict=True):
        if isinstance(outcome, Failure):
            failed += 1
            name = source.path.name if isinstance(source, ProgramFile) else source.key
            console.print(f"{name}: {outcome.kind.value}: {outcome.message}", style="yellow")
    return failed


def refit(opened: Session) -> None:
    """Fit the target's predictor on all that was measured, and print how long that took."""
    measurements, fit_s = opened.client.refit(opened.target.id)
    console.print(f"The predictor was fitted on {measurements} networks in {fit_s:.1f} s.")
