"""The front as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from host.cli.console import words
from latlab.domain.estimate import LatencyEstimate
from search.report.drawing.words import interval, raw_lines, short
from search.report.study.data import ReportData
from search.space.counts import counts


def front_table(data: ReportData) -> Table:
    """Return a table of the front of measured networks, fastest first, with ids and layers.

    It has a column for each target if there are several, and no rows if nothing was measured. If
    the latency on each target counts, a caption says which networks are on the front by the
    combined latency as well.
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
    for number, trial in enumerate(data.measured_front(), 1):
        assert trial.accuracy is not None
        assert trial.latency is not None
        size = counts(trial.architecture, deployment=data.deployment)
        table.add_row(
            str(number),
            f"{trial.accuracy:.1%}",
            *map(_latency, (trial.latency, *trial.latency.parts)),
            f"{size.parameters / 1e6:.2f}",
            f"{size.multiply_adds / 1e6:.0f}",
            words(trial.architecture.id, "\n", (short(trial.architecture), "dim")),
        )
    if data.separate_targets and (numbers := data.numbers_by_combined_latency()):
        table.caption = f"On the front by the combined latency: {', '.join(map(str, numbers))}"
    return table


def _latency(estimate: LatencyEstimate) -> Text:
    return words(interval(estimate), (raw_lines(estimate), "dim"))
