"""`latlab lab`: bring the lab up and down, and show its devices and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import typer
from rich.table import Column, Table
from rich.text import Text

from host.cli.console import console, show, words
from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.target import UPGRADE_NETWORKS, TargetStatus, build_before

app = typer.Typer(
    help="Bring the lab up and down, and show its devices and targets.", no_args_is_help=True
)


@app.command()
def up() -> None:
    """Start the lab in the background, and list its devices.

    A lab that is up already stays up. If it was started from another version than the one that is
    installed, it restarts when its jobs have ended.
    """
    home = LabHome.from_environment()
    home.create()
    from latlab.export.reference import export_sentinel  # PyTorch, for this command alone

    with console.status("preparing the sentinel"):
        sentinel = export_sentinel(home.exports)  # before devices measure: an export disturbs them
    with console.status("bringing the lab up"):
        started = lab_process.up(home, console.print)
    with LatencyClient.connect(home.root) as client:
        client.pin_sentinel(sentinel)
    console.print("The lab is up." if started else "The lab was up already.")
    _show(home)


@app.command()
def status() -> None:
    """List the lab's devices and targets."""
    _show(LabHome.from_environment())


@app.command()
def down() -> None:
    """Stop the lab and its agent. A measurement under way goes on at the next start."""
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


def _show(home: LabHome) -> None:
    with LatencyClient.connect(home.root) as client:
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
    _show_pages()


def _show_pages() -> None:
    """Say where the operator's pages of the lab on this machine are, if it has any."""
    if pages := lab_process.metrics_address(LabHome.from_environment()):
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
