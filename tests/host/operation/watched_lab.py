"""A lab with an operator's pages: the real services, and a device that answers at once."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.home.paths import sqlite_url
from host.operation import operation as operation_module
from host.operation.operation import Operation
from host.services.lab import Lab
from host.services.server import serve_lab as serve
from latlab.client.client import LatencyClient
from tests.host import stored_lab
from tests.host.fake_lab import FakeDevice

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
    database = Database(sqlite_url(folder / "lab.db"))
    with ExitStack() as stack:
        stack.callback(database.close)
        serve_lab = stack.enter_context(patch.object(stored_lab, "serve_lab", wraps=serve))
        stack.enter_context(patch.object(operation_module, "FRESH_S", 0.0))
        address, device = stack.enter_context(stored_lab.served(database, folder))
        lab: Lab = serve_lab.call_args.args[0]
        operation = Operation(database, lab.fleet, lab.dispatcher, lab.predictors)
        pages = operation.start(port)
        stack.callback(operation.stop)
        client = stack.enter_context(LatencyClient(address, stored_lab.TOKEN))
        yield WatchedLab(database, folder, device, lab.fleet, address, pages, client)
