"""`latlab lab`: bring the lab up and down, and show its devices and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from host.cli.console import console, show, words
from host.cli.listening import show_listening
from host.home.listening import DEFAULT_PORT, choose_address
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.connection.environment import address_elsewhere, require_own_lab
from latlab.domain.target import UPGRADE_NETWORKS, TargetStatus, build_before

app = typer.Typer(
    help="Bring the lab up and down, and show its devices and targets.", no_args_is_help=True
)


@app.command()
def up(
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST[:PORT]|off",
            help="Serve other machines too, with TLS, at an address of this machine; 0.0.0.0 stands"
            f" for all. The port is {DEFAULT_PORT} unless you name one. The lab listens there after"
            " a restart too, until you say off.",
        ),
    ] = None,
) -> None:
    """Start the lab in the background, and list its devices.

    A lab that is up already stays up. If it was started from another version than the one that is
    installed, or is to listen elsewhere, it restarts when its jobs have ended.
    """
    require_own_lab("latlab lab up")
    home = LabHome.from_environment()
    home.create()
    if listen is not None:
        choose_address(home, listen)
    started = _bring_up(home)
    console.print("The lab is up." if started else "The lab was up already.")
    _show()
    show_listening(home)
    _show_pages(home)


@app.command()
def status() -> None:
    """List the lab's devices and targets, and say where it listens."""
    _show()
    home = LabHome.from_environment()
    show_listening(home)
    _show_pages(home)


@app.command()
def down() -> None:
    """Stop the lab and its agent. A measurement under way goes on at the next start."""
    from host.home import lab_process  # a lab and its processes need Linux, a client does not

    require_own_lab("latlab lab down")
    stopped = lab_process.down(LabHome.from_environment())
    console.print("The lab is down." if stopped else "The lab was not running.")


@app.command()
def refit(
    target: str = typer.Argument(help="The target's id or name, as `latlab lab status` shows it."),
) -> None:
    """Fit a target's predictor now, on everything measured on it."""
    with LatencyClient.connect() as client:
        measurements, fit_s = client.refit(target)
    console.print(f"The predictor is fitted on {measurements} measurements; it took {fit_s:.1f} s.")


@app.command()
def renew_baseline(
    target: str = typer.Argument(help="The target's id or name, as `latlab lab status` shows it."),
) -> None:
    """Make the next measurement of a target's sentinel its baseline.

    Use it when a drift is there to stay, after a repair of the device for example.
    """
    with LatencyClient.connect() as client:
        client.renew_baseline(target)
    console.print("The next measurement of the sentinel will be the baseline.")


def _bring_up(home: LabHome) -> bool:
    """Start the lab, and return whether it was not up before."""
    from host.home import lab_process
    from latlab.export.reference import export_sentinel  # PyTorch, for this command alone

    with console.status("preparing the sentinel"):
        sentinel = export_sentinel(home.exports)  # before devices measure: an export disturbs them
    with console.status("bringing the lab up"):
        started = lab_process.up(home, console.print)
    with LatencyClient.connect(home.root) as client:
        client.pin_sentinel(sentinel)
    return started


def _show() -> None:
    with LatencyClient.connect() as client:
        statuses, targets = client.devices(), client.targets()
    # What is typed into other commands is shown whole, however narrow the terminal.
    table = Table(Column("device", no_wrap=True), title="Devices")
    for name in ("by", "state", "jobs", "cores", "memory", "runtime"):
        table.add_column(name, overflow="fold")
    for status in statuses:
        device = status.device
        if device is None:
            table.add_row("?", status.transport, str(status.state), "", "", "", "")
            continue
        cores = ", ".join(f"{core.name}: {len(core.cpus)}" for core in device.core_classes)
        table.add_row(
            words(device.model, "\n", (device.serial, "dim")),
            status.transport,
            words(str(status.state), (f"\n{status.note}" if status.note else "", "dim")),
            str(status.queued_jobs),
            cores,
            f"{device.memory_bytes / 2**30:.0f} GiB",
            device.runtime_version,
        )
    show(table)
    table = Table(Column("target", no_wrap=True), title="Targets")
    for name in ("device", "measurements", "predictor", "sentinel"):
        table.add_column(name, overflow="fold")
    for entry in targets:
        fitted = entry.fitted_measurements
        table.add_row(
            words(entry.target.name, "\n", (entry.target.id, "dim")),
            "connected" if entry.devices else "away",
            str(entry.measurements),
            f"fitted on {fitted}" if fitted else "none yet",
            _sentinel(entry),
        )
    table.caption = "\n".join(_upgrades(targets))
    show(table)


def _show_pages(home: LabHome) -> None:
    """Say where the operator's pages of the lab on this machine are, if it has any."""
    if address_elsewhere():
        return
    from host.home import lab_process  # it locks files, which not every system can

    if pages := lab_process.metrics_address(home):
        console.print(f"Metrics: http://{pages}/metrics, health: http://{pages}/healthz")


def _upgrades(statuses: Sequence[TargetStatus]) -> Iterator[str]:
    """Yield a remark on each connected target whose software is new to the lab."""
    for status in statuses:
        before = build_before(status.target, statuses)
        enough = min(before.measurements, UPGRADE_NETWORKS) if before else 0
        if status.devices and status.measurements < enough:
            yield (
                f"{status.target.name} has new software. Its predictions start from those before. "
                "Ten measurements say what has changed: latlab calibrate --after-upgrade "
                f"--target {status.target.id}"
            )


def _sentinel(status: TargetStatus) -> Text:
    if status.sentinel_drift is None:
        return words(("not yet measured", "dim"))
    drift = f"{status.sentinel_drift:+.1%}"
    return words((f"drifted by {drift}: jobs wait", "red") if status.drifted else drift)
