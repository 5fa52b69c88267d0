"""`latlab dashboard`: optuna-dashboard on a study."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from host.cli.console import console
from search.cli.report import DEFAULT_RUNS, RunsOption
from search.study.study import study_folder


def dashboard(
    study: Annotated[str, typer.Argument(help="Its name.")] = "first",
    port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0: a free one.")] = 8080,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Open optuna-dashboard on a study, while it is searched too.

    The study is only read: notes and deletions made there last until the dashboard ends.
    """
    from search.study.dashboard import make_dashboard

    with make_dashboard(study_folder(runs, study), port) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        console.print(f"{address} shows {study}; Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
