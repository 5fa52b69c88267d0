"""Count calls, visits and refits as they happen, for Prometheus.

Labels are bounded: a call's method is one that this daemon serves, and never a client's text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf import descriptor_pool
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from latlab.common.telemetry.activities import CALL, OUTCOME, REFIT, VISIT, Attributes
from latlab.common.telemetry.call_interceptor import STREAM

UNKNOWN = "unknown"
ABORTED = "aborted"  # of an activity that has raised: the device was lost, or the lab stops
BUCKETS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
VISIT_BUCKETS_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0)
REFIT_BUCKETS_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Counters:
    """Watches activities, and counts them in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "latlab_requests",
            "gRPC calls that have ended, by method and status.",
            ["method", "code"],
            registry=registry,
        )
        self._request_s = Histogram(
            "latlab_request_duration_seconds",
            "How long gRPC calls with a single answer took.",
            ["method"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._streams = Gauge(
            "latlab_open_streams",
            "gRPC calls with a stream of answers that are open.",
            ["method"],
            registry=registry,
        )
        self._visits = Counter(
            "latlab_visits",
            "Visits of jobs and sentinels that have ended, by outcome: samples, a kind of failure,"
            f" or {ABORTED} if the device was lost or the lab stopped.",
            ["target", "outcome"],
            registry=registry,
        )
        self._visit_s = Histogram(
            "latlab_visit_duration_seconds",
            "How long visits took, with the wait for a cool device.",
            buckets=VISIT_BUCKETS_S,
            registry=registry,
        )
        self._refits = Counter(
            "latlab_refits",
            "Refits of predictors that have ended: fitted, or the kind of error.",
            ["target", "outcome"],
            registry=registry,
        )
        self._refit_s = Histogram(
            "latlab_refit_duration_seconds",
            "How long refits took, with the wait for a quiet machine.",
            buckets=REFIT_BUCKETS_S,
            registry=registry,
        )

    @contextmanager
    def watch(self, name: str, attributes: Attributes) -> Iterator[None]:
        """Count an activity when it ends."""
        start_s = time.monotonic()
        streams = name == CALL and attributes["answers"] == STREAM
        if streams:
            self._streams.labels(known_method(attributes["method"])).inc()
        try:
            yield
        finally:
            took_s = time.monotonic() - start_s
            outcome = attributes.get(OUTCOME, ABORTED)
            if name == CALL:
                method = known_method(attributes["method"])
                self._requests.labels(method, outcome).inc()
                if streams:
                    self._streams.labels(method).dec()
                else:
                    self._request_s.labels(method).observe(took_s)
            elif name == VISIT:
                self._visits.labels(attributes["target_id"], outcome).inc()
                self._visit_s.observe(took_s)
            elif name == REFIT:
                self._refits.labels(attributes["target_id"], outcome).inc()
                self._refit_s.observe(took_s)


def known_method(method: str) -> str:
    """Return a method as "SERVICE/METHOD"; UNKNOWN if this process has no such method.

    Clients may send any text as a method.
    """
    service, _, name = method.removeprefix("/").partition("/")
    try:
        methods = descriptor_pool.Default().FindServiceByName(service).methods_by_name
    except KeyError:
        return UNKNOWN
    return f"{service}/{name}" if name in methods else UNKNOWN
