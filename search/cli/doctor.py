"""`latlab doctor`: finding what is wrong with the lab, and accepting a first phone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, show, words
from host.doctor.checks import examine
from host.doctor.finding import Finding, Level
from host.doctor.first_phone import NotAccepted, accept, begin
from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.connection.environment import require_own_lab
from latlab.domain.errors import ExportError, LabError
from latlab.export import ExportPool, ProgramCache
from search.latency.networks import export_spec
from search.space.zoo import ZOO

LOG = Path("first-phone.log")
COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.WRONG: "red"}


def doctor(
    first_phone: Annotated[
        bool,
        typer.Option(
            "--first-phone",
            help=f"Test a newly connected phone as well, and write a log to {LOG}.",
        ),
    ] = False,
) -> None:
    """Check adb, the agent, the runner, this machine, the lab and its devices.

    The checks say how to fix what is wrong. The exit code is 1 when something is wrong.
    """
    require_own_lab("latlab doctor")
    try:
        home = LabHome.from_environment()
    except LabError as error:
        _show([Finding("state", Level.WRONG, str(error))])
        raise typer.Exit(1) from error
    with console.status("looking"):
        findings = examine(home)
    _show(findings)
    if first_phone:
        _accept_first_phone(home, findings)
    elif any(finding.level is Level.WRONG for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    table = Table("check", "", "found", "what to do")
    for finding in findings:
        level = words((finding.level.value, COLORS[finding.level]))
        table.add_row(finding.check, level, finding.found, finding.fix)
    show(table)


def _accept_first_phone(home: LabHome, findings: list[Finding]) -> None:
    log = begin(LOG, console.print, home, findings)
    with ExportPool(ProgramCache(home.exports)) as pool:
        [program] = pool.export_all([export_spec(ZOO["mnasnet-small"])])
    if isinstance(program, ExportError):
        raise program
    lab_process.up(home)
    with LatencyClient.connect(home.root) as client:
        try:
            accept(client, program, log)
        except (NotAccepted, LabError) as reason:
            log(f"NOT ACCEPTED: {reason}")
            raise typer.Exit(1) from reason
        finally:
            console.print(
                f"The log is {LOG.absolute()}. It holds no secrets and can be sent to others."
            )
