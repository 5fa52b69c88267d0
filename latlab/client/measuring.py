"""Measure programs: upload them, ask for their measurements, and collect the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypedDict

from latlab.client.connection.calls import Calls
from latlab.client.requests.uploads import upload
from latlab.client.upload_window import UploadWindow
from latlab.convert.latency import (
    estimate_from_message,
    measured_from_message,
    spec_to_message,
)
from latlab.convert.visits import failure_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import LabError, Unavailable
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.program import Program, ProgramFile, memory_excess, program_of
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

MEASURE_TIMEOUT_S = 24 * 3600.0

Outcome = MeasuredLatency | Failure
OnProgress = Callable[[int, int], None]
OnEstimate = Callable[[str, LatencyEstimate], None]


class MeasureOptions(TypedDict, total=False):
    """The options of `LatencyClient.measure`, which explains them."""

    fresh: bool
    priority: int
    patience_s: float
    pause_when_left: bool
    on_progress: OnProgress
    on_estimate: OnEstimate


def measure_request(
    target: str, spec: BenchmarkSpec, options: MeasureOptions
) -> latency_pb2.MeasureRequest:
    """Return the request for each program of a call, without its SHA-256."""
    return latency_pb2.MeasureRequest(
        target=target,
        spec=spec_to_message(spec),
        fresh=options.get("fresh", False),
        priority=options.get("priority", 0),
        without_visits=True,
        pause_when_left=options.get("pause_when_left", False),
    )


def measure_programs(
    calls: Calls,
    latency: LatencyServiceStub,
    request: latency_pb2.MeasureRequest,
    programs: Iterable[ProgramFile | Program],
    memory_bytes: int | None,
    options: MeasureOptions,
) -> list[Outcome]:
    """Measure programs and return their outcomes in order, for `LatencyClient.measure`.

    Args:
        calls: How to call the lab.
        latency: The stub of the service whose methods are called.
        request: The request for each program, without its SHA-256.
        programs: What to measure.
        memory_bytes: The memory of the target's devices, if known. A larger program fails.
        options: Those of the call.
    """
    patience_s = options.get("patience_s", MEASURE_TIMEOUT_S)
    on_progress = options.get("on_progress", _ignore)
    on_estimate = options.get("on_estimate", _ignore)
    window = UploadWindow(programs)
    outcomes: dict[str, Outcome] = {}

    def named(file: ProgramFile | Program) -> latency_pb2.MeasureRequest | None:
        program = program_of(file)
        if excess := memory_excess(program.size_bytes, memory_bytes):
            why = f"the program takes {excess}"
            outcomes[program.sha256] = Failure(FailureKind.OUT_OF_MEMORY, why)
            return None
        calls.take(upload(file, reconnects=calls.reconnects))
        named = latency_pb2.MeasureRequest(program_sha256=[program.sha256])
        named.MergeFrom(request)
        return named

    visits_done: dict[str, int] = {}
    events = calls.stream(latency.Measure, window.map(named), MEASURE_TIMEOUT_S, patience_s)
    try:
        for event in events:
            outcome = _outcome(event)
            if outcome is None:
                visits_done[event.program_sha256] = event.progress.visits_done
                if event.progress.HasField("provisional"):
                    provisional = estimate_from_message(event.progress.provisional)
                    on_estimate(event.program_sha256, provisional)
            else:
                outcomes[event.program_sha256] = outcome
                window.ended()
            on_progress(sum(visits_done.values()), len(outcomes))
    except LabError:
        if window.error is not None:
            raise window.error from None
        raise
    finally:
        window.close()
    silent = Failure(
        FailureKind.DEVICE_LOST,
        f"no visit ended for {patience_s:g} s: `latlab jobs` says what the jobs wait for",
    )
    return [outcomes.get(sha256, silent) for sha256 in window.order]


def _ignore(*news: object) -> None:
    """Do nothing with news that the caller has not asked for."""


def _outcome(event: latency_pb2.MeasureEvent) -> Outcome | None:
    """Return the outcome that an event brings; None if it brings progress."""
    match event.WhichOneof("event"):
        case "measured":
            return measured_from_message(event)
        case "failure":
            return failure_from_message(event.failure)
        case "measurement":
            raise Unavailable(
                "the lab runs an older version: `latlab lab down`, then `latlab lab up`"
            )
        case _:
            return None
