"""The daemon owns the devices, the jobs and the database, and serves the lab's API.

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
from host.jobs.dispatcher import Dispatcher
from host.predicting.predictors import Predictors
from host.predicting.refit_process import RefitProcess
from host.predicting.summaries import Summarizer
from host.services.lab import Lab
from host.services.server import make_server
from latlab.common.files import replacing
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import LabError, Unavailable

STOP_GRACE_S = 2.0
# For so long after a start, runs that were asked for before it wait for their devices.
RETURN_S = 180.0
SWITCH_INTERVAL_S = 0.5e-3


def serve(
    home: LabHome,
    transports: Sequence[Transport],
    takes_phone: Callable[[str], bool] | None = None,
    config: LabConfig = NO_CONFIG,
) -> None:
    """Serve devices until SIGTERM or SIGINT.

    Args:
        home: The lab's folder.
        transports: The ways to devices that are served from the start.
        takes_phone: Whether to serve the phone of a serial when it is plugged in. None: no phone
            is served.
        config: The groups of devices and their rules.

    Raises:
        LabError: The daemon cannot start.
    """
    home.create()
    lock = _lock(home.lock_file)
    stopping = _prepare_process()
    database = Database(home.database_url)
    quiet = threading.Lock()
    summarizer, refit_process = Summarizer(database), RefitProcess()
    predictors = Predictors(database, summarizer, quiet, refit_process.fit)
    dispatcher = Dispatcher(database, predictors.measured)
    programs = ProgramStore(home.programs)
    holder = f"{platform.node()}:{home.root}"
    fleet = Fleet(
        lambda way: DeviceWorker(way, database, dispatcher, programs, quiet, holder, config)
    )

    def add_board(address: str) -> None:
        fleet.add(TcpTransport(checked_address(address), Boards(home.boards)))

    lab = Lab(database, dispatcher, programs, summarizer, predictors, fleet, add_board)
    server, port = make_server(lab, home.token())
    predictors.start()
    server.start()
    for transport in transports:
        fleet.add(transport)
    if takes_phone is not None:
        PhoneWatcher(fleet, home.bundles, takes_phone).start()
    _publish(home, port)

    def summarize() -> None:
        summarizer.complete(lambda: not stopping.is_set())

    threading.Thread(target=summarize, name="summaries", daemon=True).start()
    if not stopping.wait(RETURN_S):
        dispatcher.give_up_absent()
        stopping.wait()
    stopped = server.stop(STOP_GRACE_S)
    refit_process.close()
    predictors.stop()
    stopped.wait()
    fleet.stop()
    database.close()
    home.daemon_file.unlink(missing_ok=True)
    os.close(lock)


def _prepare_process() -> threading.Event:
    """Set up the process, and return what a signal to stop sets."""
    # Each device takes a file or two, and a thousand of them more than the usual 1,024.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    # A thread that reads measurements for a fit, say, would hold up each step of a prediction
    # for as long as this.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _publish(home: LabHome, port: int) -> None:
    """Write where the daemon serves, which clients read."""
    info = {"pid": os.getpid(), "address": f"127.0.0.1:{port}"}
    with replacing(home.daemon_file) as draft:
        draft.write_text(json.dumps(info))
    logging.info("serving on 127.0.0.1:%d", port)


def _lock(path: Path) -> int:
    """Lock the home for the life of the process. Raises Unavailable if a daemon runs on it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unavailable(f"a lab already runs on the folder {path.parent}") from None
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
