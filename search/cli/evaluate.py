"""`latlab evaluate`: judge a predictor by held-out networks, or by what it predicted live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from host.cli.console import console, show
from host.cli.shown_measurement import time_text
from latency_models.measured_networks import each_once
from latlab.common.files import storing
from latlab.domain.errors import InvalidRequest, NotReady
from latlab.domain.estimate import Refit
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.precision import Precision, precision_of
from latlab.domain.target import Target
from search.cli.session import (
    TARGETS_PANEL,
    TargetOption,
    finite,
    given_options,
    session,
)
from search.report.study.data import PredictorEvaluation

if TYPE_CHECKING:
    from latency_models.evaluate import Evaluation, Metrics


def evaluate(
    context: typer.Context,
    target: TargetOption = None,
    precision: Annotated[
        Precision,
        typer.Option(
            help="Precision of the networks to judge the predictor by.",
            rich_help_panel=TARGETS_PANEL,
        ),
    ] = Precision.FP32,
    splits: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Number of random splits of the networks into fitted and held-out."
        ),
    ] = 5,
    held_out: Annotated[
        float,
        typer.Option(
            min=0.05,
            max=0.9,
            callback=finite,
            help="Share of the measured networks to hold out in each split.",
        ),
    ] = 0.33,
    plot: Annotated[
        Path, typer.Option(help="File to draw predicted against measured latencies to.")
    ] = Path("parity.png"),
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Instead, list the refits of the predictor. Each row shows how well the predictor"
            " before it had predicted the networks that were measured since.",
        ),
    ] = False,
) -> None:
    """Hold measured networks out of the predictor, and report how well it predicts them."""
    if history:
        _show_history(target, context)
        return
    with session(target) as opened:
        measured = opened.client.measured_networks(opened.target.id)
        networks = [each for each in measured if precision_of(each.kernels) is precision]
        evaluation = evaluation_of(networks, splits, held_out)
        show(_table(evaluation, opened.target))
        _plot_parity(for_report(evaluation), opened.target, plot)
        console.print(f"Parity plot: {plot}")


def _show_history(target: str | None, context: typer.Context) -> None:
    """Show the refits of a target. Raises InvalidRequest if another option has no effect."""
    for option in given_options(context):
        if option not in ("--history", "--target"):
            raise InvalidRequest(
                f"{option} has no effect beside --history, which holds nothing out: leave it out"
            )
    with session(target) as opened:
        refits = opened.client.refit_history(opened.target.id)
        if not refits:
            raise NotReady(
                f"no refit on {opened.target.name} is stored yet: fit its predictor first (latlab"
                f" lab refit {opened.target.id})"
            )
        show(history_table(refits, opened.target))
        newest = refits[-1]
        versions = ", ".join(
            f"{name} {version}" for name, version in sorted(newest.versions.items())
        )
        console.print(f"Newest refit: data fingerprint {newest.fingerprint[:12]}, {versions}")


def history_table(refits: Sequence[Refit], target: Target) -> Table:
    """Return the table of a target's refits, given the oldest first."""
    scored = ("new networks", "mean error", "within ±5 %", "inside 90 % interval")
    table = Table(
        *("when", "learned from", *scored, "remarks"),
        title=f"Refits on {target.name}",
        caption="Errors and intervals are those of the predictor before each refit, on networks"
        " that were first measured since.",
    )
    for before, refit in zip([None, *refits[:-1]], refits, strict=True):
        table.add_row(
            time_text(refit.unix_ns),
            str(refit.measurements),
            *_score_cells(refit),
            "; ".join([] if before is None else _changes(before, refit)),
        )
    return table


def _score_cells(refit: Refit) -> tuple[str, str, str, str]:
    if (score := refit.score) is None:
        return "", "", "", ""
    guessed = f" ({score.guessed} guessed)" if score.guessed else ""
    return (
        f"{score.networks}{guessed}",
        f"{score.mean_error:.1%}",
        f"{score.within_5pct:.0%}",
        f"{score.inside_interval:.0%}",
    )


def _changes(before: Refit, refit: Refit) -> list[str]:
    """Return how a refit differs from the one before it, beside that it learned more."""
    changes = []
    for name in sorted(before.versions.keys() | refit.versions.keys()):
        old, new = (each.versions.get(name, "none") for each in (before, refit))
        if old != new:
            changes.append(f"{name} {old} → {new}")
    if before.predictor != refit.predictor:
        changes.append(f"{before.predictor} → {refit.predictor}")
    if before.fingerprint == refit.fingerprint:
        changes.append("the same measurements")
    return changes


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
    """Evaluate the predictor of a target on the networks that were measured there.

    Args:
        measured: Everything measured on the target.
        splits: Number of random splits into fitted and held-out networks.
        held_out: Share of the networks to hold out.

    Raises:
        NotReady: Too few networks were measured.
    """
    from latency_models.evaluate import evaluate as evaluate_predictor
    from latency_models.fitting import choose_predictor
    from latlab.domain.errors import NotEnoughData

    once = each_once(list(measured))
    learnable = list(filter(choose_predictor(once).learns_from, once))
    networks = _of_common_kinds(learnable, held_out)
    test_size = max(1, round(len(networks) * held_out))
    try:
        return evaluate_predictor(
            networks, train_size=len(networks) - test_size, test_size=test_size, splits=splits
        )
    except NotEnoughData as error:
        raise NotReady(f"{error}: measure more networks first (latlab calibrate)") from error


def _of_common_kinds(networks: Sequence[MeasuredNetwork], held_out: float) -> list[MeasuredNetwork]:
    """Return the networks whose kernel kinds are all in more networks than are held out.

    Whatever the split, a fitted network then has each kind. Probes are left out, and so are
    networks unlike all others.
    """
    kinds_of_each = [{kernel.typed_kind for kernel in network.kernels} for network in networks]
    holders = Counter(kind for kinds in kinds_of_each for kind in kinds)
    most_held_out = max(1, round(len(networks) * held_out))
    common = {kind for kind, count in holders.items() if count > most_held_out}
    return [n for n, kinds in zip(networks, kinds_of_each, strict=True) if kinds <= common]


def for_report(evaluation: Evaluation) -> PredictorEvaluation:
    """Return an evaluation of a predictor in the form in which reports show it."""
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
        def shown(metrics: Metrics) -> str:
            return format(getattr(metrics, field), form)

        table.add_row(label, shown(evaluation.predictor), shown(evaluation.multiply_adds))

    row("mean relative error", "mean_error", ".1%")
    row("median relative error", "median_error", ".1%")
    row("within ±5 %", "within_5pct", ".0%")
    row("within ±10 %", "within_10pct", ".0%")
    row("Kendall", "kendall", ".3f")
    row("Spearman", "spearman", ".3f")
    table.add_section()
    table.add_row("inside their 90 % intervals", f"{evaluation.interval_coverage:.0%}", "")
    thirds = " ".join(f"{share:.0%}" for share in evaluation.coverage_by_third)
    table.add_row("the same by width, narrowest first", thirds, "")
    table.add_row("median width of the intervals", f"{evaluation.interval_width:.1%}", "")
    table.add_row("noise within measurements", f"{evaluation.repeat_cv:.1%}", "")
    return table
