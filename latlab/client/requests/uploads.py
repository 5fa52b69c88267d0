"""Upload programs: small ones at once, large ones so that a broken upload goes on."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from latlab.client.connection.retries import Repeat, Retries
from latlab.client.connection.steps import CALL_TIMEOUT_S, Attempt, Steps, Wait
from latlab.common.upload import read_chunks
from latlab.convert.latency import program_to_message
from latlab.domain.errors import Unavailable
from latlab.domain.program import Program, ProgramFile, program_of
from latlab.v1 import latency_pb2

UPLOAD_TIMEOUT_S = 300.0  # of one attempt
RESUMABLE_BYTES = 4 << 20
MAX_ATTEMPTS = 20
PAUSE_S = 0.5


def upload(file: ProgramFile | Program, *, reconnects: bool) -> Steps[None]:
    """Upload a program to the lab, which does not read the bytes of a program that it has.

    Args:
        file: The program. One without a file must be one that the lab has.
        reconnects: Whether a lab that does not answer may be back at the same address.
    """
    if isinstance(file, ProgramFile) and program_of(file).size_bytes >= RESUMABLE_BYTES:
        yield from _upload_resumably(file, reconnects)
    else:
        yield _at_once(file)


def _upload_resumably(file: ProgramFile, reconnects: bool) -> Steps[None]:
    retries = Retries(MAX_ATTEMPTS * UPLOAD_TIMEOUT_S, Repeat.YES, reconnects=reconnects)
    offset_bytes = -1
    for _ in range(MAX_ATTEMPTS):
        before_bytes = offset_bytes
        try:
            offset_bytes, is_complete = yield from _received(file)
            if offset_bytes > before_bytes:  # each attempt that got on has retries of its own
                retries = Retries(UPLOAD_TIMEOUT_S, Repeat.YES, reconnects=reconnects)
            if not is_complete:
                yield Attempt(
                    lambda stubs: stubs.latency.WriteProgram,
                    _parts(file, offset_bytes),
                    UPLOAD_TIMEOUT_S,
                )
            return
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # a lab of version 0.2
                break
            got_on = error.code() is grpc.StatusCode.OUT_OF_RANGE or (  # another client, or this
                error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and offset_bytes > before_bytes
            )
            wait_s = PAUSE_S if got_on else retries.wait_s(error)
            if wait_s is None:
                raise
        yield Wait(wait_s)
    else:
        raise Unavailable(
            f"the upload of {file.path} broke off {MAX_ATTEMPTS} times: the lab has"
            f" {offset_bytes:,} bytes of it for a day, so the same command goes on from there"
        )
    yield _at_once(file)


def _received(file: ProgramFile) -> Steps[tuple[int, bool]]:
    """Return how many bytes the lab has, and whether it needs no more."""
    answer = yield Attempt(
        lambda stubs: stubs.latency.GetUpload,
        latency_pb2.GetUploadRequest(program_sha256=file.program.sha256),
        CALL_TIMEOUT_S,
    )
    return answer.received_bytes, answer.complete


def _at_once(file: ProgramFile | Program) -> Attempt:
    def parts() -> Iterator[latency_pb2.UploadRequest]:
        yield latency_pb2.UploadRequest(program=program_to_message(program_of(file)))
        if isinstance(file, ProgramFile):
            for chunk in read_chunks(file.path):
                yield latency_pb2.UploadRequest(chunk=chunk)

    return Attempt(lambda stubs: stubs.latency.UploadProgram, parts(), UPLOAD_TIMEOUT_S)


def _parts(file: ProgramFile, offset_bytes: int) -> Iterator[latency_pb2.WriteProgramRequest]:
    start = latency_pb2.UploadStart(
        program=program_to_message(file.program), offset_bytes=offset_bytes
    )
    yield latency_pb2.WriteProgramRequest(start=start)
    for chunk in read_chunks(file.path, offset_bytes):
        yield latency_pb2.WriteProgramRequest(chunk=chunk)
