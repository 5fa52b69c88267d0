"""The front as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from host.cli.console import words
from latlab.domain.estimate import LatencyEstimate
from search.report.drawing.words import interval, raw_lines, short
from search.report.study.data import ReportData
from search.space.counts import counts
from search.study.noise import AccuracyNoise
from search.study.trial import Trial


def front_table(data: ReportData) -> Table:
    """Return a table of the front of measured networks, fastest first, with ids and layers.

    It has a column for each target if there are several, and no rows if nothing was measured. If
    the latency on each target counts, a caption says which networks are on the front by the
    combined latency as well. Accuracies stand with half their interval of 90 % if their noise is
    known, and a caption says which differences the noise explains.
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
    noise = data.noise()
    for number, trial in enumerate(data.measured_front(), 1):
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
    table.caption = "\n".join(_captions(data)) or None
    return table


def _accuracy(trial: Trial, noise: AccuracyNoise | None) -> str:
    assert trial.accuracy is not None
    accuracy = f"{trial.accuracy:.1%}"
    return accuracy if noise is None else f"{accuracy} ± {noise.half_width(trial):.1%}"


def _captions(data: ReportData) -> Iterator[str]:
    """Yield what the numbers of some networks mean, in a line for each meaning."""
    if data.separate_targets and (numbers := data.numbers_by_combined_latency()):
        yield f"On the front by the combined latency: {', '.join(map(str, numbers))}"
    if numbers := [number for number, each in enumerate(data.within_noise(), 1) if each]:
        yield (
            "More accurate than a faster network by no more than the noise of accuracies explains: "
            + ", ".join(map(str, numbers))
        )


def _latency(estimate: LatencyEstimate) -> Text:
    return words(interval(estimate), (raw_lines(estimate), "dim"))
