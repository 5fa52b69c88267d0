"""The daemon owns the devices, the jobs and the database, and serves the lab's API.

python -m host.daemon        started in the background by `latlab lab up`
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.machine_turn import MachineTurn
from host.devices.phone_watcher import PhoneWatcher
from host.devices.transports.local import LocalTransport
from host.devices.transports.tcp import TcpTransport
from host.devices.transports.transport import Transport
from host.devices.worker import DeviceWorker
from host.home.boards import Boards, checked_address
from host.home.config import NO_CONFIG, LabConfig, load_config
from host.home.installed import daemon_sources
from host.home.paths import LabHome
from host.home.processes import lock_home
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.operation import service_manager
from host.operation.operation import Operation
from host.predicting.predictors import Predictors
from host.predicting.refit_process import RefitProcess
from host.predicting.summaries import Summarizer
from host.services.access.access import Access
from host.services.lab import Lab
from host.services.programs.program_contents import described
from host.services.server import serve_lab
from host.services.tls import listen
from latlab.common.files import OLD_PART_S, remove_parts, replacing
from latlab.common.log import bound_log, start_logging
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import LabError, StorageError
from latlab.programs.reader_process import ReaderProcess

STOP_GRACE_S = 2.0
# For so long after a start, runs that were asked for before it wait for their devices.
RETURN_S = 180.0
CHECK_S = 60.0  # between two looks for what waits in vain
# A thread that waits for the interpreter wakes up so often to ask for it. One that reads
# measurements for a fit, say, holds up each step of a prediction for as long. But where the threads
# of hundreds of devices wait at once, waking up would take all of a core.
SWITCH_INTERVAL_S, SWITCH_INTERVAL_A_DEVICE_S = 0.5e-3, 5e-6
# A full collection of garbage stops all threads, for more than a second with 40,000 open jobs. It
# finds next to nothing, because what the lab keeps is in no cycles.
GARBAGE_THRESHOLDS = 10_000, 20, 20


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
    lock, sources = _prepare_home(home)
    stopping = _prepare_process(home)
    database, quiet = Database(home.database_url), threading.Lock()
    alone = MachineTurn(quiet, home.root)
    summarizer, refit_process = Summarizer(database), RefitProcess()
    predictors = Predictors(database, summarizer, quiet, refit_process.fit)
    dispatcher = Dispatcher(database, predictors.measured, config.limits)
    programs = ProgramStore(home.programs)
    holder, quarantine = home.holder(), ResultQuarantine(home.quarantine)
    fleet = Fleet(
        lambda way: DeviceWorker(
            way, database, dispatcher, programs, alone, holder, quarantine, config
        )
    )
    add_board = functools.partial(_add_board, fleet, home)
    reader = ReaderProcess()
    describe = functools.partial(described, reader.read)
    lab = Lab(database, dispatcher, programs, summarizer, predictors, fleet, add_board, describe)
    access = Access(database, home.token(), config.limits)
    server, port = serve_lab(lab, access)
    beyond = listen(server, home)
    operation = Operation(database, fleet, dispatcher, predictors)
    metrics = operation.start(config.metrics_port)
    predictors.start()
    _shorten_pauses(len(transports))
    server.start()
    _add_devices(fleet, transports, home, takes_phone)
    places = {"address": f"127.0.0.1:{port}", "metrics": metrics, "listen": beyond}
    _publish(home, places, sources)
    summarizer.start(lambda: not stopping.is_set())
    _keep_house(home, dispatcher, config.max_age_h * 3_600e9, stopping)
    stopped = server.stop(STOP_GRACE_S)
    refit_process.close()
    reader.close()
    predictors.stop()
    stopped.wait()
    access.close()
    fleet.stop()
    operation.stop()
    database.close()
    home.daemon_file.unlink(missing_ok=True)
    os.close(lock)


def _add_board(fleet: Fleet, home: LabHome, address: str) -> None:
    """Serve the board at an address from now on. Raises InvalidRequest."""
    fleet.add(TcpTransport(checked_address(address), Boards(home.boards)))


def _add_devices(
    fleet: Fleet,
    transports: Sequence[Transport],
    home: LabHome,
    takes_phone: Callable[[str], bool] | None,
) -> None:
    """Serve the devices at hand, and the phones that are plugged in from now on."""
    for transport in transports:
        fleet.add(transport)
    if takes_phone is not None:
        PhoneWatcher(fleet, home.bundles, takes_phone).start()


def _keep_house(
    home: LabHome, dispatcher: Dispatcher, max_age_ns: float, stopping: threading.Event
) -> None:
    """End runs and jobs that wait in vain, and bound the logs, until the daemon stops."""
    wait_s = RETURN_S
    while not stopping.wait(wait_s):
        wait_s = CHECK_S
        bound_log(home.adb_log)
        try:
            dispatcher.give_up_absent()
            dispatcher.end_overdue(max_age_ns)
        except StorageError as error:
            logging.warning("jobs that wait in vain could not be ended: %s", error)
    service_manager.notify(service_manager.STOPPING)


def _prepare_home(home: LabHome) -> tuple[int, str]:
    """Make the lab's folder, lock it, and remove what was left there.

    Returns the lock, a file's descriptor, and the hash of this daemon's sources.
    """
    home.create()
    lock = lock_home(home.lock_file)
    # Left by a daemon that was killed, and by commands.
    home.daemon_file.unlink(missing_ok=True)
    remove_parts(home.root, min_age_s=0)
    remove_parts(home.boards, OLD_PART_S)
    return lock, daemon_sources()


def _prepare_process(home: LabHome) -> threading.Event:
    """Set up the process, and return what a signal to stop sets."""
    os.environ.setdefault("ANDROID_ADB_LOG_PATH", str(home.adb_log))  # if the lab starts adb
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _shorten_pauses(devices: int) -> None:
    """Bound what the interpreter itself adds to the time of calls, with so many devices."""
    gc.freeze()  # the modules, and the jobs that were open before
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(max(SWITCH_INTERVAL_S, devices * SWITCH_INTERVAL_A_DEVICE_S))


def _publish(home: LabHome, places: Mapping[str, str | None], sources: str) -> None:
    """Write where the daemon serves, which clients read, and the hash of its sources."""
    info = {"pid": os.getpid(), **places, "sources": sources}
    with replacing(home.daemon_file) as draft:
        draft.write_text(json.dumps(info))
    served = (f"{what} {place}" for what, place in places.items() if place)
    logging.info("serving: %s", ", ".join(served))
    service_manager.notify(service_manager.READY)


if __name__ == "__main__":
    start_logging()
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
