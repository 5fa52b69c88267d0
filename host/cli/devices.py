"""`latlab devices`: enrol and remove devices, drain them, and show their history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from host.agent.enrolment import enrol, former_addresses
from host.cli.console import console, milliseconds, show, words
from host.home.boards import Boards
from host.home.config import load_config
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.connection.environment import require_own_lab
from latlab.common.certificates import fingerprint
from latlab.domain.device import DeviceHistory
from latlab.domain.errors import InvalidRequest, NotFound, StorageError, Unavailable

app = typer.Typer(
    help="Enrol and remove devices, drain them, leave notes, and show history.",
    no_args_is_help=True,
)

DeviceArgument = Annotated[
    str, typer.Argument(help="The device's serial or transport, as `latlab lab status` shows it.")
]


@app.command()
def add(
    address: str = typer.Argument(help="The address of the board's agent, as HOST:PORT."),
    code: str = typer.Argument(
        help="The enrolment code that the agent has printed; it works once."
    ),
) -> None:
    """Enrol a board and pin its agent's certificate. A running lab uses the board at once."""
    require_own_lab("latlab devices add")
    home = LabHome.from_environment()
    home.create()
    _enrol(home, address, code)
    try:
        with LatencyClient.connect(home.root) as client:
            client.add_board(address)
    except Unavailable:
        console.print("The lab is not running: it will use the board when it is brought up.")


def _enrol(home: LabHome, address: str, code: str) -> None:
    """Enrol a board, and forget the addresses by which it was enrolled before."""
    if address not in load_config(home.config_file).chosen_boards([address]):
        raise InvalidRequest(
            f"{home.config_file} names the boards to use: add {address} there first"
        )
    boards, board = Boards(home.boards), enrol(address, code)
    boards.add(board)
    console.print(f"{address} is enrolled.")
    for former in former_addresses(board, boards):
        boards.remove(former)
        console.print(f"It was enrolled as {former} before: the lab has forgotten that address.")


@app.command("list")
def list_boards() -> None:
    """List the enrolled boards."""
    require_own_lab("latlab devices list")
    boards = Boards(LabHome.from_environment().boards)
    table = Table("board", "certificate's SHA-256")
    for address in boards.addresses():
        try:
            if (board := boards.get(address)) is not None:
                table.add_row(address, fingerprint(board.certificate))
        except StorageError as error:
            table.add_row(address, words((str(error), "red")))
    show(table)


@app.command()
def remove(
    device: Annotated[
        str, typer.Argument(help="The device's serial, or the name or address of one way to it.")
    ],
) -> None:
    """Forget a board, a phone or a device of the past. A visit under way ends first.

    The measurements and the history stay. A phone comes back when it is plugged in again.
    """
    require_own_lab("latlab devices remove")
    home = LabHome.from_environment()
    boards = Boards(home.boards)
    routes = {device}.intersection(boards.addresses())
    try:
        with LatencyClient.connect(home.root) as client:
            routes.update(client.remove_device(device))
    except (Unavailable, NotFound):
        if not routes:
            raise
    for address in routes.intersection(boards.addresses()):
        boards.remove(address)
    console.print(f"The lab has forgotten {device}.")


@app.command()
def drain(device: DeviceArgument) -> None:
    """Give a device no more jobs until it is undrained. A visit under way ends first."""
    with LatencyClient.connect() as client:
        client.set_drained(device, drained=True)
    console.print(f"{device} gets no more jobs.")


@app.command()
def undrain(device: DeviceArgument) -> None:
    """Give a drained device jobs again."""
    with LatencyClient.connect() as client:
        client.set_drained(device, drained=False)
    console.print(f"{device} gets jobs again.")


@app.command()
def note(
    device: DeviceArgument,
    text: Annotated[
        str, typer.Argument(help='The note, shown to everyone who lists devices; "" removes it.')
    ],
) -> None:
    """Leave a note on a device. It replaces the note before."""
    with LatencyClient.connect() as client:
        client.set_note(device, text)


@app.command()
def history(device: DeviceArgument) -> None:
    """Show a device's history: its uptime, failures, events and sentinels."""
    with LatencyClient.connect() as client:
        past, statuses = client.history(device), client.devices()
    for status in statuses:
        if status.device is not None and status.device.serial == past.serial:
            console.print(f"{status.transport}: {status.state}")
    _show_history(past)


def _show_history(past: DeviceHistory) -> None:
    connected = timedelta(seconds=past.connected_ns // 10**9)
    console.print(
        f"{past.serial}: first seen {_time(past.first_seen_unix_ns)}, connected for {connected}."
    )
    if past.note:
        console.print(past.note)
    failures = ", ".join(f"{count} {kind.value}" for kind, count in past.failures.items())
    console.print(f"Visits: {past.visits}; failed: {failures or 'none'}.")
    table = Table("when", "event", "detail", title="Events")
    for event in past.events:
        table.add_row(_time(event.unix_ns), event.kind.value, event.detail)
    show(table)
    table = Table("when", "target", "latency", "", title="Sentinels")
    for reading in past.sentinels:
        suspect = words(("suspect" if reading.suspect else "", "red"))
        latency = milliseconds(reading.latency_ns)
        table.add_row(_time(reading.unix_ns), reading.target_id, latency, suspect)
    show(table)


def _time(unix_ns: int) -> str:
    return f"{datetime.fromtimestamp(unix_ns / 1e9):%Y-%m-%d %H:%M:%S}"
