"""The part of the service about latencies that lists what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable

import grpc

from host.database.listing.measurement_pages import MeasurementQuery
from host.services.listing.lab_lists import LabLists
from host.services.requests.checks import about, check_text
from host.services.requests.page_tokens import PageTokens, page_size
from latlab.convert.fields import enum_member
from latlab.convert.records.measurements import (
    measurement_id_from_name,
    summary_to_message,
    visit_summary_to_message,
)
from latlab.domain.errors import InvalidRequest
from latlab.domain.records.measurements import MeasurementOrder
from latlab.domain.target import Target
from latlab.v1 import common_pb2, latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceServicer

_SHA256_PREFIX = re.compile("[0-9a-f]{6,64}")


class ListsServicer(LatencyServiceServicer):
    """Lists measurements, visits and samples by page."""

    _lists: LabLists
    _page_tokens: PageTokens
    _find_target: Callable[[str], Target]

    def QueryMeasurements(  # noqa: N802
        self, request: latency_pb2.QueryMeasurementsRequest, context: grpc.ServicerContext
    ) -> latency_pb2.QueryMeasurementsResponse:
        size = page_size(request.page_size, 100, 1_000)
        position = self._page_tokens.read(request, request.page_token)
        behind = None if position is None else (_number(position[0]), str(position[1]))
        found = self._lists.measurements(self._query(request), size + 1, behind)
        page, token = self._page_tokens.cut(request, found, size)
        return latency_pb2.QueryMeasurementsResponse(
            measurements=map(summary_to_message, page), next_page_token=token
        )

    def ListVisits(  # noqa: N802
        self, request: latency_pb2.ListVisitsRequest, context: grpc.ServicerContext
    ) -> latency_pb2.ListVisitsResponse:
        size = page_size(request.page_size, 20, 100)
        position = self._page_tokens.read(request, request.page_token)
        behind = 0 if position is None else int(position[0])
        with about("parent"):
            measurement_id = measurement_id_from_name(request.parent)
        visits = self._lists.visits(measurement_id, size + 1, behind)
        found = [(visit, [key]) for visit, key in visits]
        page, token = self._page_tokens.cut(request, found, size)
        return latency_pb2.ListVisitsResponse(
            visits=map(visit_summary_to_message, page), next_page_token=token
        )

    def ListSamples(  # noqa: N802
        self, request: latency_pb2.ListSamplesRequest, context: grpc.ServicerContext
    ) -> latency_pb2.ListSamplesResponse:
        size = page_size(request.page_size, 1_000, 10_000)
        position = self._page_tokens.read(request, request.page_token)
        first_run = 0 if position is None else int(position[0])
        with about("parent"):
            measurement_id = measurement_id_from_name(request.parent)
        run_id = check_text("the run's id", request.run_id, "run_id")
        page = self._lists.samples(measurement_id, run_id, first_run, size)
        token = ""
        if page.next_run is not None:
            token = self._page_tokens.make(request, [page.next_run])
        return latency_pb2.ListSamplesResponse(
            wall_ns=page.wall_ns,
            cpu_ns=page.cpu_ns,
            involuntary_switches=page.involuntary_switches,
            kernel_traces=[
                common_pb2.KernelTrace(
                    name=trace.name,
                    durations_ns=trace.durations_ns,
                    instruction=trace.instruction,
                )
                for trace in page.kernel_traces
            ],
            next_page_token=token,
        )

    def _query(self, request: latency_pb2.QueryMeasurementsRequest) -> MeasurementQuery:
        order: MeasurementOrder | None = MeasurementOrder.NEWEST
        if request.order != latency_pb2.MEASUREMENT_ORDER_UNSPECIFIED:
            order = enum_member(latency_pb2.MeasurementOrder, request.order, MeasurementOrder)
        if order is None:
            raise InvalidRequest(f"this lab does not know the order {request.order}", "order")
        prefix = request.program_sha256
        if prefix and not _SHA256_PREFIX.fullmatch(prefix):
            raise InvalidRequest(
                f"{prefix[:80]!r} is not the SHA-256 of a program: give its first 6 digits or more",
                "program_sha256",
            )
        return MeasurementQuery(
            target_id=self._find_target(request.target).id if request.target else "",
            program_prefix=prefix,
            since_unix_ns=request.since_unix_ns,
            before_unix_ns=request.before_unix_ns,
            with_untrusted=request.all,
            order=order,
        )


def _number(value: str | int | float) -> float:
    """Return a number of a page token, which is an integer for a time and else a latency."""
    assert not isinstance(value, str)  # the lab has signed it
    return value
