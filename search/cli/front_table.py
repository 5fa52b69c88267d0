"""The front as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from host.cli.console import words
from latlab.domain.estimate import LatencyEstimate
from search.report.drawing.words import interval, raw_lines, short
from search.report.study.data import ReportData
from search.space.counts import counts
from search.study.noise import AccuracyNoise, within_noise
from search.study.trial import Trial


def front_table(data: ReportData) -> Table:
    """Return a table of the front of measured networks, fastest first, with ids and layers.

    It has a column for each target if there are several, and no rows if nothing was measured.
    Accuracies stand with half their interval of 90 % if their noise is known. A caption says
    which differences the noise explains and, if the latency on each target counts, which networks
    are on the front by the combined latency as well.
    """
    of_what = " of accuracy and the latency on each target" if data.separate_targets else ""
    measured = f"from measurements{data.deployment.in_precision} alone"
    title = f"{data.study}: the front{of_what}, {measured}"
    table = Table(title=title, title_justify="left", caption_justify="left")
    on_each = [f"on {name} (ms)" for name in data.targets]
    latency = "combined (ms)" if data.targets else "latency (ms)"
    for name in ("", "accuracy", latency, *on_each, "params (M)", "MAdds (M)"):
        table.add_column(name, justify="right", no_wrap=name not in on_each)
    table.add_column("architecture", overflow="fold")
    front, noise = data.measured_front(), data.noise()
    for number, trial in enumerate(front, 1):
        assert trial.latency is not None
        size = counts(trial.architecture, deployment=data.deployment)
        table.add_row(
            str(number),
            _accuracy(trial, noise),
            *map(_latency, (trial.latency, *trial.latency.parts)),
            f"{size.parameters / 1e6:.2f}",
            f"{size.multiply_adds / 1e6:.0f}",
            words(trial.architecture.id, "\n", (short(trial.architecture), "dim")),
        )
    captions = [_about_noise(front, noise)]
    if data.separate_targets and (numbers := data.numbers_by_combined_latency()):
        captions.append(f"On the front by the combined latency: {', '.join(map(str, numbers))}")
    table.caption = "\n".join(filter(None, captions)) or None
    return table


def _accuracy(trial: Trial, noise: AccuracyNoise | None) -> str:
    assert trial.accuracy is not None
    accuracy = f"{trial.accuracy:.1%}"
    return accuracy if noise is None else f"{accuracy} ± {noise.half_width(trial):.1%}"


def _about_noise(front: Sequence[Trial], noise: AccuracyNoise | None) -> str | None:
    """Return which networks are more accurate than the one above by no more than noise explains."""
    numbers = [number for number, each in enumerate(within_noise(front, noise), 1) if each]
    if not numbers:
        return None
    return (
        "More accurate than the network above by no more than the noise of accuracies explains: "
        + ", ".join(map(str, numbers))
    )


def _latency(estimate: LatencyEstimate) -> Text:
    return words(interval(estimate), (raw_lines(estimate), "dim"))
