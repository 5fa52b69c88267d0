"""`latlab baselines`: programs that the lab keeps under a name, to compare others with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from host.cli.console import console, show
from latlab.client.client import LatencyClient
from latlab.domain.precision import Precision
from latlab.domain.program import check_baseline_name
from search.cli.networks.network_argument import NETWORK_HELP, InputsOption, find_networks
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    ClassesOption,
    PrecisionOption,
    ResolutionOption,
    session,
)
from search.space.deployment import Deployment

app = typer.Typer(
    help="Keep programs under a name, to compare others with: `latlab compare --baseline NAME`.",
    no_args_is_help=True,
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The name of the baseline: 1 to 100 letters, digits and characters of ._/-",
    ),
]


@app.command("set")
def set_baseline(
    context: typer.Context,
    name: NameArgument,
    network: Annotated[str, typer.Argument(metavar="NETWORK", help=NETWORK_HELP)],
    inputs: InputsOption = None,
    precision: PrecisionOption = Precision.FP32,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
) -> None:
    """Keep a network's program under a name, in place of the one that had the name."""
    check_baseline_name(name)
    found = find_networks([network], inputs, context)
    with session(None, deployment=Deployment(resolution, classes, precision)) as opened:
        with console.status("exporting"):
            [file] = opened.lab.programs(found)
        opened.client.baselines.set(name, file)
    console.print(f"{name} is {network}, program {file.program.sha256[:12]}.")


@app.command("list")
def list_baselines() -> None:
    """List the baselines."""
    with LatencyClient.connect() as client:
        baselines = client.baselines.list()
    table = Table("name", "program", "size", "since")
    for each in baselines:
        since = datetime.fromtimestamp(each.unix_ns / 1e9).strftime("%Y-%m-%d %H:%M")
        size = f"{each.size_bytes / 1e6:.1f} MB"
        table.add_row(each.name, each.program_sha256[:12], size, since)
    show(table)


@app.command()
def remove(name: NameArgument) -> None:
    """Forget a baseline. Its measurements stay."""
    with LatencyClient.connect() as client:
        client.baselines.remove(name)
    console.print(f"{name} is no longer a baseline.")
