"""`latlab calibrate` and `latlab evaluate`: feeding a predictor and judging it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID
from rich.table import Table

from host.cli.console import console, milliseconds, progress_bar, show
from latency_models.measured_networks import newest_of_each
from latlab.common.files import storing
from latlab.domain.errors import NotReady
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.target import Target
from latlab.export import ExportSpec
from search.cli.session import PriorityOption, Session, TargetOption, finite, session
from search.latency.calibration import CANDIDATES, calibration_networks, random_networks
from search.latency.probes import probe_specs
from search.latency.target_lab import export_spec
from search.report.study.data import PredictorEvaluation
from search.space.architecture import Architecture
from search.space.space import Space, mnasnet_space

if TYPE_CHECKING:
    from latency_models.evaluate import Evaluation, Metrics

DEFAULT_NETWORKS = 16

NetworksOption = Annotated[
    int,
    typer.Option(
        "--networks", "-n", min=4, max=CANDIDATES, help="How many of the space to measure in all."
    ),
]


def calibrate(
    networks: NetworksOption = DEFAULT_NETWORKS,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="Lean on the lab's other targets: 10 will do.")
    ] = False,
    target: TargetOption = None,
    priority: PriorityOption = 0,
) -> None:
    """Measure the networks that tell most, and probes of every kernel kind, so that the
    target's predictor can be fitted."""
    with session(target, priority=priority) as opened:
        if transfer:
            failed = run_calibration(opened, mnasnet_space(), networks)
            _show_transfer(opened)
            if failed:
                raise typer.Exit(1)
            return
        failed = run_calibration(opened, mnasnet_space(), networks, probe_specs())
        measurements, fit_s = opened.client.refit(opened.target.id)
        console.print(f"The predictor was fitted on {measurements} networks in {fit_s:.1f} s.")
        if failed:
            raise typer.Exit(1)


def run_calibration(
    opened: Session, space: Space, count: int, probes: Sequence[ExportSpec] = ()
) -> int:
    """Return how many could not be measured. What was measured before is not measured again."""
    measured = [network.kernels for network in opened.client.measured_networks(opened.target.id)]
    networks = calibration_networks(space, count, measured)
    specs = [*map(export_spec, networks), *probes]
    with progress_bar() as bar:
        task = bar.add_task(f"calibrating {opened.target.name}", total=len(specs))
        outcomes = opened.lab.measure_specs(specs, lambda done: bar.update(task, completed=done))
    failed = 0
    for spec, outcome in zip(specs, outcomes, strict=True):
        if isinstance(outcome, Failure):
            failed += 1
            console.print(f"{spec.key}: {outcome.kind.value}: {outcome.message}", style="yellow")
    return failed


def _show_transfer(opened: Session) -> None:
    from search.latency.transfer import predict_from_other_targets

    transferred = predict_from_other_targets(opened.client, opened.target, [])
    sources = ", ".join(f"{source.name} ({source.id})" for source in transferred.sources)
    console.print(f"Transferred from: {sources}.")
    errors = transferred.errors
    console.print(
        f"Each of the {len(errors)} networks, predicted from the others: mean error "
        f"{errors.mean():.1%}, {(errors <= 0.1).mean():.0%} within ±10 %."
    )
    console.print("`latlab predict` uses it until the target has a predictor of its own.")


def repeatability(
    networks: Annotated[int, typer.Option(min=1, max=50, help="How many networks.")] = 5,
    times: Annotated[int, typer.Option(min=2, max=100, help="Measurements of each.")] = 5,
    target: TargetOption = None,
) -> None:
    """Measure a few networks again and again: the noise that no prediction can beat."""
    chosen = random_networks(mnasnet_space(), networks)
    with session(target) as opened:
        latencies_ns = _again_and_again(opened, chosen, times)
    table = Table("network", "measured", "median", "coefficient of variation")
    for network, seen in zip(chosen, latencies_ns, strict=True):
        median_ = milliseconds(median(seen)) if seen else ""
        variation = f"{stdev(seen) / fmean(seen):.2%}" if len(seen) > 1 else ""
        table.add_row(network.id[:12], str(len(seen)), median_, variation)
    show(table)
    if any(len(seen) < times for seen in latencies_ns):
        raise typer.Exit(1)


def _again_and_again(
    opened: Session, networks: Sequence[Architecture], times: int
) -> list[list[int]]:
    """The latencies of each network in ns, of those measurements that did not fail."""
    latencies_ns: list[list[int]] = [[] for _ in networks]
    with progress_bar() as bar:
        task = bar.add_task(f"measuring on {opened.target.name}", total=times * len(networks))
        for round_ in range(times):
            advance = partial(_advance, bar, task, round_ * len(networks))
            outcomes = opened.lab.measure(networks, advance, fresh=True)
            for seen, outcome in zip(latencies_ns, outcomes, strict=True):
                if not isinstance(outcome, Failure):
                    seen.append(outcome[0].latency_ns)
    return latencies_ns


def _advance(bar: Progress, task: TaskID, before: int, done: int) -> None:
    bar.update(task, completed=before + done)


def evaluate(
    target: TargetOption = None,
    splits: Annotated[int, typer.Option(min=1, max=100, help="Random splits.")] = 5,
    held_out: Annotated[
        float, typer.Option(min=0.05, max=0.9, callback=finite, help="Share held out.")
    ] = 0.33,
    plot: Annotated[Path, typer.Option(help="Where the parity plot goes.")] = Path("parity.png"),
) -> None:
    """Hold measured networks out of the predictor, and say how well it predicts them."""
    with session(target) as opened:
        networks = opened.client.measured_networks(opened.target.id)
        evaluation = evaluation_of(networks, splits, held_out)
        show(_table(evaluation, opened.target))
        _plot_parity(for_report(evaluation), opened.target, plot)
        console.print(f"Parity plot: {plot}")


def _plot_parity(data: PredictorEvaluation, target: Target, plot: Path) -> None:
    from search.report.study.plots import plot_parity

    with storing(plot):
        plot_parity(
            data.measured_ns,
            data.predicted_ns,
            data.lower_ns,
            data.upper_ns,
            f"Held-out networks on {target.name}",
            plot,
        )


def evaluation_of(
    measured: Iterable[MeasuredNetwork], splits: int = 5, held_out: float = 0.33
) -> Evaluation:
    """Of the predictor of a target, on everything measured on it. Raises NotReady where that
    is too little."""
    from latency_models.evaluate import evaluate as evaluate_predictor
    from latency_models.fitting import choose_predictor
    from latlab.domain.errors import NotEnoughData

    newest = list(newest_of_each(measured).values())
    learnable = list(filter(choose_predictor(newest).learns_from, newest))
    networks = _of_common_kinds(learnable, held_out)
    test_size = max(1, round(len(networks) * held_out))
    try:
        return evaluate_predictor(
            networks, train_size=len(networks) - test_size, test_size=test_size, splits=splits
        )
    except NotEnoughData as error:
        raise NotReady(f"{error}: measure more first (latlab calibrate)") from error


def _of_common_kinds(networks: Sequence[MeasuredNetwork], held_out: float) -> list[MeasuredNetwork]:
    """Those of distinct networks whose kinds of kernels are all in more than are held out:
    whatever the split, one is left to learn from. Probes and networks unlike all others are
    not."""
    kinds_of_each = [{kernel.kind for kernel in network.kernels} for network in networks]
    holders = Counter(kind for kinds in kinds_of_each for kind in kinds)
    most_held_out = max(1, round(len(networks) * held_out))
    common = {kind for kind, count in holders.items() if count > most_held_out}
    return [n for n, kinds in zip(networks, kinds_of_each, strict=True) if kinds <= common]


def for_report(evaluation: Evaluation) -> PredictorEvaluation:
    return PredictorEvaluation(
        measured_ns=evaluation.parity.measured_ns,
        predicted_ns=evaluation.parity.predicted_ns,
        lower_ns=evaluation.parity.lower_ns,
        upper_ns=evaluation.parity.upper_ns,
        scores={
            "mean error": f"{evaluation.predictor.mean_error:.1%}",
            "within ±5 %": f"{evaluation.predictor.within_5pct:.0%}",
            "within ±10 %": f"{evaluation.predictor.within_10pct:.0%}",
            "Kendall's τ": f"{evaluation.predictor.kendall:.3f}",
            "Kendall's τ of multiply-adds alone": f"{evaluation.multiply_adds.kendall:.3f}",
            "inside their 90 % intervals": f"{evaluation.interval_coverage:.0%}",
        },
        repeat_noise=evaluation.repeat_cv,
    )


def _table(evaluation: Evaluation, target: Target) -> Table:
    table = Table("", "predictor", "multiply-adds", title=f"Held-out networks on {target.name}")

    def row(label: str, field: str, form: str) -> None:
        def shown(of: Metrics) -> str:
            return format(getattr(of, field), form)

        table.add_row(label, shown(evaluation.predictor), shown(evaluation.multiply_adds))

    row("mean relative error", "mean_error", ".1%")
    row("median relative error", "median_error", ".1%")
    row("within ±5 %", "within_5pct", ".0%")
    row("within ±10 %", "within_10pct", ".0%")
    row("Kendall", "kendall", ".3f")
    row("Spearman", "spearman", ".3f")
    table.add_section()
    table.add_row("inside their 90 % intervals", f"{evaluation.interval_coverage:.0%}", "")
    table.add_row("median width of the intervals", f"{evaluation.interval_width:.1%}", "")
    table.add_row("noise within measurements", f"{evaluation.repeat_cv:.1%}", "")
    return table
