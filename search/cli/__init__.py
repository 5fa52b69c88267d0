"""The command `latlab`, to which all other commands belong."""

from __future__ import annotations

import typer

from host.cli.late_commands import LateCommand, LateCommands

LAB, NETWORKS, STUDIES, PREDICTORS = "Lab and devices", "Networks", "Studies", "Predictors"


class LatlabCommands(LateCommands):
    """The commands of `latlab`, in the panels of its help."""

    late = {  # noqa: RUF012 -- nothing changes it
        "lab": LateCommand("host.cli.lab:app", "Start and stop the lab, and show its state.", LAB),
        "devices": LateCommand(
            "host.cli.devices:app", "Add, drain and show the lab's devices.", LAB
        ),
        "jobs": LateCommand(
            "host.cli.jobs:app", "List the open jobs and what each one waits for; cancel jobs.", LAB
        ),
        "measurements": LateCommand(
            "host.cli.measurements:app", "List, show and exclude stored measurements.", LAB
        ),
        "token": LateCommand(
            "host.cli.tokens:app", "Say who may use the lab, and show who did what.", LAB
        ),
        "db": LateCommand(
            "host.cli.database.commands:app",
            "Back up, restore, check and export the database.",
            LAB,
        ),
        "doctor": LateCommand(
            "search.cli.doctor:doctor", "Find what is wrong with the lab and how to fix it.", LAB
        ),
        "search": LateCommand(
            "search.cli.search:search", "Search for accurate and fast networks.", STUDIES
        ),
        "train": LateCommand(
            "search.cli.training.command:train", "Train a study's best networks in full.", STUDIES
        ),
        "report": LateCommand(
            "search.cli.report:report", "Write a study's report, or compare studies.", STUDIES
        ),
        "dashboard": LateCommand(
            "search.cli.dashboard:dashboard", "Show a study in optuna-dashboard.", STUDIES
        ),
        "zoo": LateCommand(
            "search.cli.networks.commands:zoo", "List the published networks.", NETWORKS
        ),
        "measure": LateCommand(
            "search.cli.networks.measure:measure", "Measure networks on a device.", NETWORKS
        ),
        "predict": LateCommand(
            "search.cli.networks.commands:predict", "Predict latencies without measuring.", NETWORKS
        ),
        "compare": LateCommand(
            "search.cli.networks.compare:compare",
            "Measure how much faster one network is.",
            NETWORKS,
        ),
        "profile": LateCommand(
            "search.cli.profile.command:profile",
            "Show where the latency of a network goes.",
            NETWORKS,
        ),
        "baselines": LateCommand(
            "search.cli.networks.baselines:app",
            "Keep programs under a name, to compare others with.",
            NETWORKS,
        ),
        "calibrate": LateCommand(
            "search.cli.networks.calibrate:calibrate",
            "Measure networks to fit a predictor on.",
            PREDICTORS,
        ),
        "evaluate": LateCommand(
            "search.cli.evaluate:evaluate", "Report how well a predictor predicts.", PREDICTORS
        ),
        "repeatability": LateCommand(
            "search.cli.networks.calibrate:repeatability",
            "Report the noise of measurements.",
            PREDICTORS,
        ),
    }


app = typer.Typer(
    cls=LatlabCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Plain help can be read at any width.
)


@app.callback()
def latlab() -> None:
    """Latency Lab: measure and predict the latency of networks, and search for fast ones."""
