"""`latlab dashboard`: a study in optuna-dashboard."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from host.cli.console import console
from search.cli.report import DEFAULT_RUNS, RunsOption
from search.study.study import study_folder


def dashboard(
    study: Annotated[str, typer.Argument(help="Name of the study.")] = "first",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port to listen on, on loopback. 0 stands for any free port."
        ),
    ] = 8080,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Show a study in optuna-dashboard, also while a search runs.

    The study itself is not changed. Notes and deletions made there last until the dashboard ends.
    """
    from search.study.dashboard import make_dashboard

    with make_dashboard(study_folder(runs, study), port) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        console.print(f"The study {study} is shown at {address}. Press Ctrl-C to end.")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
