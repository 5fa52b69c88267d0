"""`latlab`: the one command."""

from __future__ import annotations

import typer

from host import cli as host_cli
from host import cli_measurements
from host.console import Commands
from search.cli import calibrating, dashboard, doctor, networks, reporting, searching, training

app = typer.Typer(
    help="Latency Lab: networks searched with their real latency on real devices.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help that is plain is read at any width
)
app.add_typer(host_cli.app, name="lab")
app.add_typer(host_cli.devices, name="devices")
app.command("doctor")(doctor.doctor)
app.command("jobs")(host_cli.jobs)
app.add_typer(cli_measurements.app, name="measurements")
app.command("search")(searching.search)
app.command("train")(training.train)
app.command("report")(reporting.report)
app.command("dashboard")(dashboard.dashboard)
app.command("zoo")(networks.zoo)
app.command("measure")(networks.measure)
app.command("compare")(networks.compare)
app.command("predict")(networks.predict)
app.command("calibrate")(calibrating.calibrate)
app.command("repeatability")(calibrating.repeatability)
app.command("evaluate")(calibrating.evaluate)
