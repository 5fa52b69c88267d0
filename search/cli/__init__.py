"""`latlab`: the one command."""

from __future__ import annotations

import typer

from host.cli.late_commands import Late, LateCommands


class LatlabCommands(LateCommands):
    late = {  # noqa: RUF012 -- nothing changes it
        "lab": Late("host.cli.lab:app", "Bring the lab up and down, see its devices."),
        "devices": Late("host.cli.devices:app", "The lab's devices: enrolled, drained, noted."),
        "doctor": Late("search.cli.doctor:doctor", "Find what is wrong, and how to fix it."),
        "jobs": Late("host.cli.jobs:jobs", "List the open jobs, and what each waits for."),
        "measurements": Late("host.cli.measurements:app", "List, show and exclude measurements."),
        "search": Late("search.cli.search:search", "Search for accurate, fast networks."),
        "train": Late("search.cli.train:train", "Train a study's best, and measure them."),
        "report": Late("search.cli.report:report", "Write a study's report, or compare studies."),
        "dashboard": Late("search.cli.dashboard:dashboard", "Open optuna-dashboard on a study."),
        "zoo": Late("search.cli.networks:zoo", "List the published networks."),
        "measure": Late("search.cli.networks:measure", "Measure networks on a target."),
        "compare": Late("search.cli.networks:compare", "Measure two networks in turn."),
        "predict": Late("search.cli.networks:predict", "Predict latencies, without measuring."),
        "calibrate": Late("search.cli.calibrate:calibrate", "Measure networks for a predictor."),
        "repeatability": Late("search.cli.calibrate:repeatability", "Report a target's noise."),
        "evaluate": Late("search.cli.calibrate:evaluate", "Report how well a predictor does."),
    }


app = typer.Typer(
    cls=LatlabCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help that is plain is read at any width
)


@app.callback()
def latlab() -> None:
    """Latency Lab: networks searched with their real latency on real devices."""
