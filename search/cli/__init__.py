"""`latlab`: the one command."""

from __future__ import annotations

import typer

from host.cli import devices, jobs, lab, measurements
from host.cli.console import Commands
from search.cli import calibrate, dashboard, doctor, networks, report, search, train

app = typer.Typer(
    help="Latency Lab: networks searched with their real latency on real devices.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help that is plain is read at any width
)
app.add_typer(lab.app, name="lab")
app.add_typer(devices.app, name="devices")
app.command("doctor")(doctor.doctor)
app.command("jobs")(jobs.jobs)
app.add_typer(measurements.app, name="measurements")
app.command("search")(search.search)
app.command("train")(train.train)
app.command("report")(report.report)
app.command("dashboard")(dashboard.dashboard)
app.command("zoo")(networks.zoo)
app.command("measure")(networks.measure)
app.command("compare")(networks.compare)
app.command("predict")(networks.predict)
app.command("calibrate")(calibrate.calibrate)
app.command("repeatability")(calibrate.repeatability)
app.command("evaluate")(calibrate.evaluate)
