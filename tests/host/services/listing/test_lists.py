"""What is stored is listed by page, over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from host.database import stored_measurements
from host.database.engine import Database
from host.database.listing.measurement_pages import StoredLatency
from host.database.schema import measurements
from host.predicting.summaries import Summarizer
from host.predicting.target_facts import noise_floor
from host.services.listing import lab_lists
from latlab.client.client import LatencyClient
from latlab.convert.latency import spec_to_message
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import RUNS, SPEC, TOKEN, Stored, served, write_ordinary

TOKENS = (("authorization", f"Bearer {TOKEN}"),)
COUNT = 8


class Service:
    def __init__(self, channel: grpc.Channel, stored: list[Stored]) -> None:
        self.latency, self.lab = LatencyServiceStub(channel), LabServiceStub(channel)
        self.stored = stored

    def pages(self, method: Any, request: Any) -> Iterator[Any]:  # noqa: ANN401
        """Every page of a list."""
        for _ in range(100):
            page = method(request, metadata=TOKENS, timeout=60)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
        raise AssertionError("the list does not end")

    def ids(self, **fields: Any) -> list[str]:  # noqa: ANN401
        request = latency_pb2.QueryMeasurementsRequest(**fields)
        pages = self.pages(self.latency.QueryMeasurements, request)
        return [each.name.removeprefix("measurements/") for p in pages for each in p.measurements]

    def refused(self, method: Callable[..., Any], request: Any) -> grpc.StatusCode:  # noqa: ANN401
        with pytest.raises(grpc.RpcError) as error:
            method(request, metadata=TOKENS, timeout=60)
        return error.value.code()


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    database = Database(database_url)
    stored = write_ordinary(database, tmp_path, count=COUNT)
    Summarizer(database).complete()
    with database.writing() as connection:
        stored_measurements.exclude(connection, stored[-1].id, "a test", 1)
    with served(database, tmp_path) as (address, _), grpc.insecure_channel(address) as channel:
        with LatencyClient(address, TOKEN) as client:
            client.set_drained(DEVICE.serial, True)
        yield Service(channel, stored)
    database.close()


def test_measurements_are_listed_in_every_order_and_page_size(service: Service) -> None:
    oldest_first = [one.id for one in service.stored[:-1]]
    fastest_first = [
        one.id for one in sorted(service.stored[:-1], key=lambda one: one.network.latency_ns)
    ]
    for size in (1, 3, 100):
        for order, expected in (
            (latency_pb2.MEASUREMENT_ORDER_UNSPECIFIED, oldest_first[::-1]),
            (latency_pb2.MEASUREMENT_ORDER_OLDEST, oldest_first),
            (latency_pb2.MEASUREMENT_ORDER_FASTEST, fastest_first),
            (latency_pb2.MEASUREMENT_ORDER_SLOWEST, fastest_first[::-1]),
        ):
            for target in ("", TARGET.name):
                assert service.ids(page_size=size, order=order, target=target) == expected


def test_measurements_are_filtered(service: Service) -> None:
    everything = [one.id for one in service.stored][::-1]
    assert service.ids(all=True) == everything
    one = service.stored[3]
    for prefix in (one.file.program.sha256, one.file.program.sha256[:8]):
        assert service.ids(program_sha256=prefix) == [one.id]
    assert service.ids(program_sha256="ffffff") == []
    assert service.ids(since_unix_ns=2, before_unix_ns=5) == everything[::-1][2:5][::-1]
    request = latency_pb2.QueryMeasurementsRequest(all=True)
    [page] = service.pages(service.latency.QueryMeasurements, request)
    excluded, other = page.measurements[0], page.measurements[1]
    assert (excluded.is_excluded, other.is_excluded) == (True, False)
    assert other.lower_ns <= other.latency_ns <= other.upper_ns
    assert other.raw.runs == 3 * RUNS


def test_a_page_token_serves_its_own_list_alone(service: Service) -> None:
    query = service.latency.QueryMeasurements
    first = query(latency_pb2.QueryMeasurementsRequest(page_size=2), metadata=TOKENS, timeout=60)
    token = first.next_page_token
    for request in (
        latency_pb2.QueryMeasurementsRequest(all=True, page_token=token),
        latency_pb2.QueryMeasurementsRequest(page_token=token[:-4] + "AAAA"),
        latency_pb2.QueryMeasurementsRequest(page_token="1"),
        latency_pb2.QueryMeasurementsRequest(order=99),  # type: ignore[arg-type]
        latency_pb2.QueryMeasurementsRequest(program_sha256="x" * 8),
    ):
        assert service.refused(query, request) is grpc.StatusCode.INVALID_ARGUMENT
    unknown = latency_pb2.QueryMeasurementsRequest(target="nowhere")
    assert service.refused(query, unknown) is grpc.StatusCode.NOT_FOUND


def test_removed_samples_are_told_with_the_day(service: Service, database_url: str) -> None:
    database, stored = Database(database_url), service.stored[0]
    with database.writing() as connection:
        removed = measurements.update().where(measurements.c.id == stored.id)
        connection.execute(removed.values(samples_removed_unix_ns=86_400 * 10**9))
    database.close()
    request = latency_pb2.ListSamplesRequest(parent=f"measurements/{stored.id}", run_id="any")
    with pytest.raises(grpc.RpcError, match="removed on 1970-01-02"):
        service.latency.ListSamples(request, metadata=TOKENS, timeout=60)


def test_visits_and_their_samples_are_listed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = f"measurements/{service.stored[0].id}"
    pages = list(
        service.pages(
            service.latency.ListVisits, latency_pb2.ListVisitsRequest(parent=parent, page_size=3)
        )
    )
    visits = [visit for page in pages for visit in page.visits]
    assert [len(page.visits) for page in pages] == [3, 1]
    assert [visit.traced for visit in visits] == [False, False, False, True]
    assert [list(visit.kernel_names) for visit in visits[2:]] == [[], ["Add (ND)"]]
    assert all(visit.runs == RUNS and visit.before.temperature_c == 40.0 for visit in visits)
    request = latency_pb2.ListSamplesRequest(parent=parent, run_id=visits[3].run_id, page_size=4)
    samples = list(service.pages(service.latency.ListSamples, request))
    assert [len(page.wall_ns) for page in samples] == [4, 4, 2]
    assert [len(page.kernel_traces[0].durations_ns) for page in samples] == [4, 4, 2]
    monkeypatch.setattr(lab_lists, "MAX_NUMBERS", 12)
    request = latency_pb2.ListSamplesRequest(parent=parent, run_id=visits[3].run_id)
    assert [len(page.cpu_ns) for page in service.pages(service.latency.ListSamples, request)] == [
        3,
        3,
        3,
        1,
    ]


def test_what_there_is_not_is_not_listed(service: Service) -> None:
    other = f"measurements/{service.stored[1].id}"
    [visits] = service.pages(
        service.latency.ListVisits, latency_pb2.ListVisitsRequest(parent=other)
    )
    run_id = visits.visits[0].run_id
    mine = f"measurements/{service.stored[0].id}"
    for method, request in (
        (service.latency.ListVisits, latency_pb2.ListVisitsRequest(parent="measurements/ff")),
        (
            service.latency.ListSamples,
            latency_pb2.ListSamplesRequest(parent=mine, run_id=run_id),
        ),
        (service.lab.ListConditions, lab_pb2.ListConditionsRequest(device="nothing")),
        (service.latency.GetTarget, latency_pb2.GetTargetRequest(target="nowhere")),
    ):
        assert service.refused(method, request) is grpc.StatusCode.NOT_FOUND
    bad = latency_pb2.ListVisitsRequest(parent=service.stored[0].id)
    assert service.refused(service.latency.ListVisits, bad) is grpc.StatusCode.INVALID_ARGUMENT


def test_conditions_are_listed_the_newest_first(service: Service) -> None:
    def count(**fields: Any) -> list[int]:  # noqa: ANN401
        request = lab_pb2.ListConditionsRequest(device=DEVICE.serial, **fields)
        return [len(page.conditions) for page in service.pages(service.lab.ListConditions, request)]

    visits = 4 * COUNT
    assert sum(count(page_size=7)) == 2 * visits
    assert count(page_size=20)[:2] == [20, 20]
    # The visits of the measurement with this number were asked for at this time.
    assert count(since_unix_ns=5, before_unix_ns=6) == [8]


def test_the_queue_is_listed_with_the_jobs_of_all_owners(service: Service) -> None:
    names = []
    for one in service.stored[:3]:
        request = latency_pb2.CreateMeasurementRequest(
            target=TARGET.id,
            program_sha256=one.file.program.sha256,
            spec=spec_to_message(SPEC),
            fresh=True,
        )
        job = service.latency.CreateMeasurement(request, metadata=TOKENS, timeout=60)
        names.append(job.name)
    for target in ("", TARGET.name):
        pages = list(
            service.pages(
                service.lab.ListQueue, lab_pb2.ListQueueRequest(target=target, page_size=2)
            )
        )
        assert [job.name for page in pages for job in page.jobs] == names
        assert {page.open for page in pages} == {3}
    assert {job.owner for page in pages for job in page.jobs} == {"local"}


def test_a_target_is_described(service: Service) -> None:
    request = latency_pb2.GetTargetRequest(target=TARGET.name)
    details = service.latency.GetTarget(request, metadata=TOKENS, timeout=60)
    assert details.status.target.id == TARGET.id
    assert details.status.measurements == COUNT - 1
    assert not details.HasField("noise_floor")
    assert details.newest_age_s > 0
    distinct = {kernel for one in service.stored[:-1] for kernel in one.network.kernels}
    assert sum(details.kernel_kinds.values()) == len(distinct)


def test_the_noise_floor_is_half_of_the_range_of_repeated_measurements() -> None:
    def floor(*latencies: tuple[str, str, float]) -> float | None:
        return noise_floor([StoredLatency("", *each, 0) for each in latencies])

    assert floor(("a", "s", 1.0), ("b", "s", 2.0), ("a", "t", 3.0)) is None
    repeated = [("a", "s", 99.0), ("a", "s", 101.0), ("b", "s", 98.0), ("b", "s", 102.0)]
    assert floor(*repeated) == pytest.approx(0.015)
