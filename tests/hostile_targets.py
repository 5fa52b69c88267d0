"""A daemon and a board's agent to attack, each in its own process, and valid requests to them."""

from __future__ import annotations

import functools
import hashlib
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf.message import Message

from host.database.engine import Database
from host.home.paths import LabHome
from latlab.client.connection.local_lab import find_lab
from latlab.common.program_store import ProgramStore
from latlab.convert.kernels import kernel_to_message
from latlab.convert.latency import program_to_message, spec_to_message
from latlab.v1 import access_pb2, device_agent_pb2, lab_pb2, latency_pb2
from latlab.v1.common_pb2 import Shape, TensorSpec
from tests.device_agent.agent_process import SPEC as VISIT
from tests.device_agent.agent_process import AgentProcess, sha256
from tests.host.board_lab import running_lab
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, Stored, write_ordinary
from tests.hostile_requests import Target, rpcs

STORED = 12
LATENCY, LAB = "/latlab.v1.LatencyService", "/latlab.v1.LabService"
ACCESS = "/latlab.v1.AccessService"
READ = access_pb2.SCOPE_READ
AGENT, ENROLMENT = "/latlab.v1.DeviceAgent", "/latlab.v1.Enrolment"
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Valid = dict[str, list[tuple[Message, ...]]]


@contextmanager
def daemon_target(folder: Path) -> Iterator[Target]:
    """A daemon without devices on a database that holds some measurements."""
    home = LabHome(folder / "home")
    home.create()
    database = Database(home.database_url)
    stored = write_ordinary(database, folder, STORED)
    database.close()
    store = ProgramStore(home.programs)
    for one in stored:
        program = one.file.program
        store.add(program.sha256, program.size_bytes, [one.file.path.read_bytes()])
    with running_lab(home) as client:
        list(client.stored.list())  # after this all are summarised
        address, token = find_lab(home.root)
        with (
            grpc.insecure_channel(address, OPTIONS) as channel,
            sqlite3.connect(home.root / "lab.db") as watched,
        ):
            yield Target(
                port=int(address.split(":")[1]),
                channel=channel,
                token=token,
                rpcs=rpcs(latency_pb2.DESCRIPTOR, lab_pb2.DESCRIPTOR, access_pb2.DESCRIPTOR),
                public=(),
                known=[TARGET.id, TARGET.name, DEVICE.serial, "fake", stored[0].id]
                + [one.file.program.sha256 for one in stored[:3]],
                valid=_valid_for_daemon(stored),
                trace=functools.partial(_trace, watched),
                secrets=[str(folder)],
            )


def _trace(watched: sqlite3.Connection) -> str:
    """Return a hash of all that requests store but the audit log, which has refused ones too."""
    [version] = watched.execute("PRAGMA data_version").fetchone()
    return _trace_of_version(watched, version)


@functools.lru_cache(maxsize=1)
def _trace_of_version(watched: sqlite3.Connection, version: int) -> str:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    found = hashlib.sha256()
    for (name,) in watched.execute(names).fetchall():
        if name not in ("audit", "refits"):  # refits are recorded in the background
            found.update(repr(watched.execute(f'SELECT * FROM "{name}"').fetchall()).encode())
    return found.hexdigest()


def _valid_for_daemon(stored: list[Stored]) -> Valid:
    one, other = stored[0], stored[1]
    program, kernels = one.file.program, one.network.kernels
    upload = latency_pb2.UploadRequest(program=program_to_message(program))
    measure = latency_pb2.MeasureRequest(
        target=TARGET.id, program_sha256=[program.sha256], spec=spec_to_message(SPEC)
    )
    predict = latency_pb2.PredictRequest(
        target=TARGET.id,
        kernels=map(kernel_to_message, kernels),
        lengths=[len(kernels)],
        indices=range(len(kernels)),
    )
    excluded = lab_pb2.ExcludeMeasurementRequest(id=other.id, why="it was hot")
    return {
        f"{LATENCY}/ListTargets": [(latency_pb2.ListTargetsRequest(),)],
        f"{LATENCY}/UploadProgram": [
            (upload, latency_pb2.UploadRequest(chunk=one.file.path.read_bytes()))
        ],
        f"{LATENCY}/Predict": [(predict,)],
        f"{LATENCY}/Measure": [(measure,), (measure, measure)],
        f"{LATENCY}/GetBreakdown": [
            (latency_pb2.GetBreakdownRequest(name=f"measurements/{one.id}"),)
        ],
        f"{LATENCY}/GetMeasurement": [(latency_pb2.GetMeasurementRequest(id=one.id),)],
        f"{LATENCY}/LookUp": [(latency_pb2.LookUpRequest(measurement_ids=[one.id, other.id]),)],
        f"{LATENCY}/ListMeasuredNetworks": [
            (latency_pb2.ListMeasuredNetworksRequest(target=TARGET.id),)
        ],
        f"{LATENCY}/ListRefits": [(latency_pb2.ListRefitsRequest(target=TARGET.id),)],
        f"{LAB}/ListDevices": [(lab_pb2.ListDevicesRequest(),)],
        f"{LAB}/ReadConditions": [(lab_pb2.ReadDeviceConditionsRequest(transport="fake"),)],
        f"{LAB}/AddBoard": [(lab_pb2.AddBoardRequest(address="127.0.0.1:1"),)],
        f"{LAB}/RemoveBoard": [(lab_pb2.RemoveBoardRequest(address="127.0.0.1:1"),)],
        f"{LAB}/Refit": [(lab_pb2.RefitRequest(target=TARGET.id),)],
        f"{LAB}/PinSentinel": [(lab_pb2.PinSentinelRequest(program_sha256=program.sha256),)],
        f"{LAB}/RenewBaseline": [(lab_pb2.RenewBaselineRequest(target=TARGET.id),)],
        f"{LAB}/ListJobs": [(lab_pb2.ListJobsRequest(limit=10),)],
        f"{LAB}/SetDrained": [(lab_pb2.SetDrainedRequest(device=DEVICE.serial, drained=True),)],
        f"{LAB}/SetNote": [(lab_pb2.SetNoteRequest(device=DEVICE.serial, note="a note"),)],
        f"{LAB}/GetDeviceHistory": [(lab_pb2.GetDeviceHistoryRequest(device=DEVICE.serial),)],
        f"{LAB}/ListMeasurements": [
            (lab_pb2.ListMeasurementsRequest(target=TARGET.id, limit=3),),
            (lab_pb2.ListMeasurementsRequest(id=one.id),),
        ],
        f"{LAB}/ExcludeMeasurement": [(excluded,)],
        f"{LAB}/IncludeMeasurement": [(lab_pb2.IncludeMeasurementRequest(id=other.id),)],
        f"{ACCESS}/GetCaller": [(access_pb2.GetCallerRequest(),)],
        f"{ACCESS}/CreateToken": [
            (
                access_pb2.CreateTokenRequest(
                    owner="ann@team", scopes=[access_pb2.SCOPE_READ], note="a note"
                ),
            )
        ],
        f"{ACCESS}/ListTokens": [(access_pb2.ListTokensRequest(page_size=2),)],
        f"{ACCESS}/RevokeToken": [(access_pb2.RevokeTokenRequest(name="tokens/0123456789abcdef"),)],
        f"{ACCESS}/ListAuditEntries": [
            (access_pb2.ListAuditEntriesRequest(owner="local", page_size=2),)
        ],
    }


@contextmanager
def agent_target(folder: Path, runner: Path) -> Iterator[Target]:
    """A board's agent. All that it may change is its state, deep below the folder."""
    state = folder / "a" / "b" / "c" / "state"
    agent = AgentProcess(state, runner, ["--listen", "127.0.0.1:0"])
    certificate = ssl.get_server_certificate(("127.0.0.1", agent.port)).encode()
    channel = grpc.secure_channel(
        f"127.0.0.1:{agent.port}",
        grpc.ssl_channel_credentials(certificate),
        [("grpc.ssl_target_name_override", "latlab-agent"), *OPTIONS],
    )
    try:
        with channel:
            yield Target(
                port=agent.port,
                channel=channel,
                token=agent.token,
                rpcs=rpcs(device_agent_pb2.DESCRIPTOR),
                public=[f"{ENROLMENT}/Enrol"],
                known=["run-1", sha256(b"answer()"), "all", "float32"],
                valid=_valid_for_agent(),
                trace=lambda: sorted(folder.rglob("*.pte")),
                secrets=[str(folder), agent.token, agent.code.split("-")[1]],
            )
    finally:
        assert agent.end() == 0


def _valid_for_agent() -> Valid:
    program = b"answer()"
    header = device_agent_pb2.ProgramHeader(sha256=sha256(program), size_bytes=len(program))
    run = device_agent_pb2.RunRequest(
        run_id="run-1",
        lease_token=1,
        program_sha256=sha256(program),
        input_shapes=[Shape(dims=[1, 3])],
        inputs=[TensorSpec(shape=Shape(dims=[1, 3]), dtype="float32")],
        spec=VISIT,
    )
    return {
        f"{AGENT}/Describe": [(device_agent_pb2.DescribeRequest(),)],
        f"{AGENT}/ReadConditions": [(device_agent_pb2.ReadConditionsRequest(),)],
        f"{AGENT}/UploadProgram": [
            (
                device_agent_pb2.UploadProgramRequest(header=header),
                device_agent_pb2.UploadProgramRequest(chunk=program),
            )
        ],
        f"{AGENT}/Run": [(run,)],
        f"{AGENT}/Acknowledge": [(device_agent_pb2.AcknowledgeRequest(run_ids=["run-1"]),)],
        f"{ENROLMENT}/Enrol": [(device_agent_pb2.EnrolRequest(secret="guessed"),)],
    }


def strange_files(folder: Path) -> list[str]:
    """What lies in the folder of `agent_target` beside the state, or in the state beside its own
    files."""
    own = {
        *("agent.json", "clocks.json", "enrolment_code_hash", "lease_tokens.json", "lock"),
        *("serial", "tls.pem", "token"),
    }
    state = folder / "a" / "b" / "c" / "state"
    outputs = map(state.with_name, ("state.out", "state.err"))
    beside = {folder / "a", folder / "a/b", folder / "a/b/c", state, *outputs}
    stores = {state / "programs", state / "results", state / "runner"}
    [copy] = (state / "runner").iterdir()
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path not in beside | stores | {copy}
        and path.parent not in stores - {state / "runner"} | {copy}
        and (path.parent != state or path.name not in own)
    ]
