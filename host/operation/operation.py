"""Serve metrics and health on a port of loopback, and export traces."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from host.database.engine import Database
from host.devices.fleet import Fleet
from host.jobs.dispatcher import Dispatcher
from host.operation.counters import Counters
from host.operation.database_watch import DatabaseWatch
from host.operation.health import Health
from host.operation.http_server import LOOPBACK, Page, PageServer
from host.operation.lab_collector import LabCollector
from host.operation.traces import traces_from_environment
from host.predicting.predictors import Predictors
from latlab.common.telemetry.activities import watched_by

# The pages are made once in this time, however many ask.
FRESH_S = 1.0


class Operation:
    """The metrics and the health of one daemon."""

    def __init__(
        self, database: Database, fleet: Fleet, dispatcher: Dispatcher, predictors: Predictors
    ) -> None:
        disable_created_metrics()  # when each series began, which would double their number
        watch = DatabaseWatch(database)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._counters = Counters(self._registry)
        self._registry.register(LabCollector(watch, fleet, dispatcher, predictors))
        self._health = Health(watch, fleet)
        self._running = ExitStack()

    def start(self, port: int | None) -> str:
        """Begin to count and to serve.

        Args:
            port: The port; None for a free one, 0 to serve no pages.

        Returns:
            The address of the pages, "host:port"; "" if none are served.

        Raises:
            Unavailable: The port is taken.
        """
        server = None
        if port != 0:
            pages = {"/metrics": _Fresh(self.metrics), "/healthz": _Fresh(self.health)}
            server = PageServer(port or 0, pages)
        watchers = [self._counters.watch]
        if (traces := traces_from_environment()) is not None:
            watchers.append(traces.watch)
            self._running.callback(traces.stop)
        self._running.enter_context(watched_by(*watchers))
        if server is None:
            return ""
        server.start()
        self._running.callback(server.stop)
        return f"{LOOPBACK}:{server.port}"

    def stop(self) -> None:
        """Stop to serve, and send the last traces."""
        self._running.close()

    def metrics(self) -> Page:
        """Return all metrics in Prometheus's text format."""
        return Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry))

    def health(self) -> Page:
        """Return whether the lab is well, as JSON. The status is 503 if it is not."""
        is_well, report = self._health.report()
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(status, "application/json", f"{json.dumps(report)}\n".encode())


class _Fresh:
    """A page that is made again when it is older than FRESH_S. One thread makes it at a time."""

    def __init__(self, make: Callable[[], Page]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._page: Page | None = None
        self._until_s = 0.0

    def __call__(self) -> Page:
        with self._lock:
            if self._page is None or time.monotonic() >= self._until_s:
                self._page = self._make()
                self._until_s = time.monotonic() + FRESH_S
            return self._page
