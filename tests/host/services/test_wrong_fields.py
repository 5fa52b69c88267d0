"""A request that is refused says which of its fields is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.convert.details.google_rpc import KEY, read_details
from latlab.v1 import access_pb2, lab_pb2, latency_pb2, maintenance_pb2
from latlab.v1.access_pb2_grpc import AccessServiceStub
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from latlab.v1.maintenance_pb2_grpc import MaintenanceServiceStub
from tests.host.fake_lab import TARGET
from tests.host.stored_lab import TOKEN, served, write_ordinary

TIMEOUT_S = 60.0
NUL, LONG = "a\0b", "x" * 5_000
READ = [access_pb2.SCOPE_READ]
UNKNOWN: Any = 99  # of an enum
SHA256 = "ab" * 32
STUBS = (
    LatencyServiceStub,
    LabServiceStub,
    AccessServiceStub,
    MaintenanceServiceStub,
)
Names = latency_pb2.WatchJobsRequest
Create = latency_pb2.CreateMeasurementRequest
Predict = latency_pb2.PredictRequest
SPEC = latency_pb2.BenchmarkSpec

WRONG: list[tuple[str, Any, str]] = [
    ("GetTarget", latency_pb2.GetTargetRequest(target=NUL), "target"),
    ("ListRefits", latency_pb2.ListRefitsRequest(target=LONG), "target"),
    ("CreateMeasurement", Create(target=TARGET.id, program_sha256="?"), "program_sha256"),
    (
        "CreateMeasurement",
        Create(target=TARGET.id, program_sha256=SHA256, spec=SPEC(tolerance=-1)),
        "spec",
    ),
    (
        "CreateMeasurement",
        Create(target=TARGET.id, program_sha256=SHA256, request_id="7"),
        "request_id",
    ),
    ("GetJob", latency_pb2.GetJobRequest(name="7"), "name"),
    ("CancelJob", latency_pb2.CancelJobRequest(name=NUL), "name"),
    ("WatchJobs", Names(names=["7"]), "names"),
    ("WatchJobs", Names(names=["jobs/7"] * 1_001), "names"),
    ("WatchJobs", Names(resume_token="7"), "resume_token"),
    ("GetMeasurement", latency_pb2.GetMeasurementRequest(id=NUL), "id"),
    ("GetBreakdown", latency_pb2.GetBreakdownRequest(name="7"), "name"),
    ("LookUp", latency_pb2.LookUpRequest(measurement_ids=[LONG]), "measurement_ids"),
    ("QueryMeasurements", latency_pb2.QueryMeasurementsRequest(page_token="7"), "page_token"),
    (
        "QueryMeasurements",
        latency_pb2.QueryMeasurementsRequest(program_sha256="?"),
        "program_sha256",
    ),
    ("ListVisits", latency_pb2.ListVisitsRequest(parent="7"), "parent"),
    (
        "ListSamples",
        latency_pb2.ListSamplesRequest(parent="measurements/7", run_id=NUL),
        "run_id",
    ),
    ("GetUpload", latency_pb2.GetUploadRequest(program_sha256="?"), "program_sha256"),
    ("UploadProgram", iter([latency_pb2.UploadRequest(chunk=b"7")]), "program"),
    (
        "UploadProgram",
        iter([latency_pb2.UploadRequest(program=latency_pb2.Program(sha256="?"))]),
        "program",
    ),
    ("WriteProgram", iter([latency_pb2.WriteProgramRequest(chunk=b"7")]), "start"),
    ("Predict", Predict(target=TARGET.id, mode=UNKNOWN), "mode"),
    ("Predict", Predict(target=TARGET.id, max_half_width=0.1), "max_half_width"),
    ("Predict", Predict(target=TARGET.id, program_sha256=["?"]), "program_sha256"),
    ("Predict", Predict(target=TARGET.id, program_sha256=[SHA256] * 1_001), "program_sha256"),
    ("ReadConditions", lab_pb2.ReadDeviceConditionsRequest(transport=NUL), "transport"),
    ("RemoveBoard", lab_pb2.RemoveBoardRequest(address="7"), "address"),
    ("RemoveDevice", lab_pb2.RemoveDeviceRequest(device=NUL), "device"),
    ("SetNote", lab_pb2.SetNoteRequest(device="7", note=NUL), "note"),
    ("PinSentinel", lab_pb2.PinSentinelRequest(program_sha256="?"), "program_sha256"),
    ("CancelJobs", lab_pb2.CancelJobsRequest(ids=["?"]), "ids"),
    ("CancelJobs", lab_pb2.CancelJobsRequest(program_sha256="?"), "program_sha256"),
    ("ListConditions", lab_pb2.ListConditionsRequest(device=NUL), "device"),
    ("ListQueue", lab_pb2.ListQueueRequest(target=NUL), "target"),
    ("ListMeasurements", lab_pb2.ListMeasurementsRequest(id="?"), "id"),
    ("ExcludeMeasurement", lab_pb2.ExcludeMeasurementRequest(id="?", why="7"), "id"),
    ("ExcludeMeasurement", lab_pb2.ExcludeMeasurementRequest(id="7"), "why"),
    ("IncludeMeasurement", lab_pb2.IncludeMeasurementRequest(id="?"), "id"),
    ("SetBaseline", lab_pb2.SetBaselineRequest(name="?", program_sha256=SHA256), "name"),
    ("GetBaseline", lab_pb2.GetBaselineRequest(name="?"), "name"),
    (
        "CreateToken",
        access_pb2.CreateTokenRequest(owner="?", scopes=READ),
        "owner",
    ),
    (
        "CreateToken",
        access_pb2.CreateTokenRequest(owner="ann", scopes=READ, note=LONG),
        "note",
    ),
    ("RevokeToken", access_pb2.RevokeTokenRequest(name="7"), "name"),
    ("ListAuditEntries", access_pb2.ListAuditEntriesRequest(owner=NUL), "owner"),
    ("Compact", maintenance_pb2.CompactRequest(), "before_unix_ns"),
    ("Export", maintenance_pb2.ExportRequest(rows=UNKNOWN), "rows"),
]


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    folder = tmp_path_factory.mktemp("lab")
    database = Database(sqlite_url(folder / "lab.db"))
    write_ordinary(database, folder, count=2)
    with served(database, folder) as (address, _), grpc.insecure_channel(address) as channel:
        yield channel
    database.close()


@pytest.mark.parametrize(("method", "request_", "field"), WRONG)
def test_the_wrong_field_is_named(
    channel: grpc.Channel,
    method: str,
    request_: Any,  # noqa: ANN401 -- a message, or an iterator of messages
    field: str,
) -> None:
    stubs = (stub(channel) for stub in STUBS)
    call = next(getattr(stub, method) for stub in stubs if hasattr(stub, method))
    token = [("authorization", f"Bearer {TOKEN}")]
    with pytest.raises(grpc.RpcError) as refused:
        list(call(request_, timeout=TIMEOUT_S, metadata=token))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, refused.value.details()
    metadata: Any = refused.value.trailing_metadata()
    assert read_details(dict(metadata)[KEY]).field == field, refused.value.details()
