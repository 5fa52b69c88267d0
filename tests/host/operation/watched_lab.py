"""A lab with an operator's pages: the real services, and a device that answers at once."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.worker import DeviceWorker
from host.home.paths import sqlite_url
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.operation import operation as operation_module
from host.operation.operation import Operation
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer
from host.services.access.access import Access
from host.services.lab import Lab
from host.services.server import serve_lab
from latlab.client.client import LatencyClient
from latlab.common.program_store import ProgramStore
from latlab.domain.access.limits import UNLIMITED
from tests.host.fake_lab import FakeDevice
from tests.host.stored_lab import TOKEN, as_announced

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class WatchedLab:
    """pages: where metrics and health are, "host:port"."""

    database: Database
    folder: Path
    device: FakeDevice
    fleet: Fleet
    address: str
    pages: str
    client: LatencyClient

    def get(self, path: str) -> tuple[int, str]:
        return get(f"http://{self.pages}{path}")

    def values(self, series: str, /, **labels: str) -> list[float]:
        """The values of the series with these labels."""
        return values(self.get("/metrics")[1], series, **labels)


def get(url: str) -> tuple[int, str]:
    """The status and the text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(text: str, series: str, /, **labels: str) -> list[float]:
    return [
        sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == series and labels.items() <= sample.labels.items()
    ]


@contextmanager
def watched_lab(folder: Path, port: int | None = None) -> Iterator[WatchedLab]:
    """Its pages are made anew for each request; `port` as in lab.toml."""
    database, device, quiet = (
        Database(sqlite_url(folder / "lab.db")),
        FakeDevice(),
        threading.Lock(),
    )
    summarizer = Summarizer(database)
    predictors = Predictors(database, summarizer, quiet, fit_measured)
    dispatcher, store = Dispatcher(database, predictors.measured), ProgramStore(folder / "programs")
    quarantine = ResultQuarantine(folder / "quarantine")
    fleet = Fleet(
        lambda way: DeviceWorker(way, database, dispatcher, store, quiet, "test", quarantine)
    )
    operation = Operation(database, fleet, dispatcher, predictors)
    fresh_s, operation_module.FRESH_S = operation_module.FRESH_S, 0.0
    pages = operation.start(port)
    predictors.start()
    lab = Lab(
        database,
        dispatcher,
        store,
        summarizer,
        predictors,
        fleet,
        lambda address: None,
        as_announced,
    )
    access = Access(database, TOKEN, UNLIMITED)
    server, port = serve_lab(lab, access)
    server.start()
    address = f"127.0.0.1:{port}"
    try:
        with LatencyClient(address, TOKEN) as client:
            yield WatchedLab(database, folder, device, fleet, address, pages, client)
    finally:
        operation_module.FRESH_S = fresh_s
        server.stop(None).wait()
        access.close()
        predictors.stop()
        fleet.stop()
        operation.stop()
        database.close()
