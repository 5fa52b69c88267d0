"""The daemon: owns the devices, the jobs and the database, and serves the lab's API.

python -m host.daemon        started in the background by `latlab lab up`
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.phone_watcher import PhoneWatcher
from host.devices.transports.local import LocalTransport
from host.devices.transports.tcp import TcpTransport
from host.devices.transports.transport import Transport
from host.devices.worker import DeviceWorker
from host.home.boards import Boards, checked_address
from host.home.config import NO_CONFIG, LabConfig, load_config
from host.home.paths import LabHome
from host.jobs.dispatcher import JobBoard
from host.predicting.snapshots import Predictors
from host.predicting.summaries import Summaries
from host.services.lab import Lab
from host.services.server import make_server
from latlab.common.files import replacing
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import LabError, Unavailable

STOP_GRACE_S = 2.0
# For so long after a start, runs that were asked for before it wait for their devices.
RETURN_S = 180.0


def serve(
    home: LabHome,
    transports: Sequence[Transport],
    takes_phone: Callable[[str], bool] | None = None,
    config: LabConfig = NO_CONFIG,
) -> None:
    """Serves the devices behind `transports`, and the phones that are plugged in whose serials
    `takes_phone` takes, as `config` says of their groups, until SIGTERM or SIGINT. Raises
    LabError when it cannot start."""
    home.create()
    lock = _lock(home.lock_file)
    # Every device takes a file or two, and a thousand of them more than the usual 1,024.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    database = Database(home.database_url)
    board = JobBoard(database)
    programs = ProgramStore(home.programs)
    quiet = threading.Lock()
    holder = f"{platform.node()}:{home.root}"
    fleet = Fleet(lambda way: DeviceWorker(way, database, board, programs, quiet, holder, config))

    def add_board(address: str) -> None:
        fleet.add(TcpTransport(checked_address(address), Boards(home.boards)))

    summaries = Summaries(database)
    predictors = Predictors(database, summaries, quiet)
    lab = Lab(database, board, programs, summaries, predictors, fleet, add_board)
    server, port = make_server(lab, home.token())
    server.start()
    for transport in transports:
        fleet.add(transport)
    if takes_phone is not None:
        PhoneWatcher(fleet, home.bundles, takes_phone).start()
    info = {"pid": os.getpid(), "address": f"127.0.0.1:{port}"}
    with replacing(home.daemon_file) as draft:
        draft.write_text(json.dumps(info))
    logging.info("serving on 127.0.0.1:%d", port)

    def summarize() -> None:
        summaries.complete(lambda: not stopping.is_set())

    threading.Thread(target=summarize, name="summaries", daemon=True).start()
    if not stopping.wait(RETURN_S):
        board.give_up_absent()
        stopping.wait()
    server.stop(STOP_GRACE_S).wait()
    fleet.stop()
    database.close()
    home.daemon_file.unlink(missing_ok=True)
    os.close(lock)


def _lock(path: Path) -> int:
    """Held for the life of the process: one daemon for a home."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unavailable(f"a lab already runs on {path.parent}") from None
    return descriptor


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        home = LabHome.from_environment()
        boards, config = Boards(home.boards), load_config(home.config_file)
        chosen = config.chosen_boards(boards.addresses())
        local = LocalTransport(home.agent, home.runner)
        ways: list[Transport] = [local, *(TcpTransport(way, boards) for way in chosen)]
        serve(home, ways, config.takes, config)
    except LabError as error:
        logging.error("%s", error)
        sys.exit(2)
