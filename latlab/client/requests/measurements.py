"""Calls about stored measurements, page by page."""

from __future__ import annotations

from typing import Any

from latlab.client.connection.steps import Page, Pages, UnaryCall
from latlab.convert.fields import enum_number
from latlab.convert.records.breakdown import breakdown_from_message
from latlab.convert.records.measurements import (
    measurement_name,
    samples_from_message,
    summary_from_message,
    visit_summary_from_message,
)
from latlab.domain.measurement import KernelTrace
from latlab.domain.records.breakdown import Breakdown
from latlab.domain.records.measurements import (
    MeasurementOrder,
    MeasurementSummary,
    Samples,
    VisitSummary,
)
from latlab.v1 import latency_pb2


def query_measurements(
    *,
    target: str = "",
    program_sha256: str = "",
    since_unix_ns: int = 0,
    before_unix_ns: int = 0,
    everything: bool = False,
    order: MeasurementOrder = MeasurementOrder.NEWEST,
    page_size: int = 0,
) -> Pages[MeasurementSummary]:
    """Ask for stored measurements: see `LatencyClient.query_measurements`."""

    def ask(token: str) -> UnaryCall[Page[MeasurementSummary]]:
        request = latency_pb2.QueryMeasurementsRequest(
            target=target,
            program_sha256=program_sha256,
            since_unix_ns=since_unix_ns,
            before_unix_ns=before_unix_ns,
            all=everything,
            order=enum_number(latency_pb2.MeasurementOrder, order),
            page_size=page_size,
            page_token=token,
        )

        def convert(answer: Any) -> Page[MeasurementSummary]:  # noqa: ANN401 -- its response
            return Page(
                tuple(map(summary_from_message, answer.measurements)), answer.next_page_token
            )

        return UnaryCall(lambda stubs: stubs.latency.QueryMeasurements, request, convert)

    return ask


def get_breakdown(measurement_id: str) -> UnaryCall[Breakdown]:
    """Ask where the time of a measurement goes."""
    return UnaryCall(
        lambda stubs: stubs.latency.GetBreakdown,
        latency_pb2.GetBreakdownRequest(name=measurement_name(measurement_id)),
        breakdown_from_message,
    )


def list_visits(measurement_id: str) -> Pages[VisitSummary]:
    """Ask for the visits of a measurement."""

    def ask(token: str) -> UnaryCall[Page[VisitSummary]]:
        request = latency_pb2.ListVisitsRequest(
            parent=measurement_name(measurement_id), page_token=token
        )

        def convert(answer: Any) -> Page[VisitSummary]:  # noqa: ANN401 -- its response
            return Page(
                tuple(map(visit_summary_from_message, answer.visits)), answer.next_page_token
            )

        return UnaryCall(lambda stubs: stubs.latency.ListVisits, request, convert)

    return ask


def list_samples(measurement_id: str, run_id: str) -> Pages[Samples]:
    """Ask for the timed runs of a visit. Each page has one entry."""

    def ask(token: str) -> UnaryCall[Page[Samples]]:
        request = latency_pb2.ListSamplesRequest(
            parent=measurement_name(measurement_id), run_id=run_id, page_token=token
        )

        def convert(answer: Any) -> Page[Samples]:  # noqa: ANN401 -- its response
            return Page((samples_from_message(answer),), answer.next_page_token)

        return UnaryCall(lambda stubs: stubs.latency.ListSamples, request, convert)

    return ask


def joined(pages: list[Samples]) -> Samples:
    """Return the runs of all pages of a visit."""
    traces = zip(*(page.kernel_traces for page in pages), strict=True)
    return Samples(
        wall_ns=tuple(ns for page in pages for ns in page.wall_ns),
        cpu_ns=tuple(ns for page in pages for ns in page.cpu_ns),
        involuntary_switches=tuple(n for page in pages for n in page.involuntary_switches),
        kernel_traces=tuple(
            KernelTrace(
                parts[0].name,
                tuple(ns for part in parts for ns in part.durations_ns),
                parts[0].instruction,
            )
            for parts in traces
        ),
    )
