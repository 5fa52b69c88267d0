"""The part of the service about latencies that takes programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import grpc

from host.services.programs.lab_programs import LabPrograms, Received
from host.services.requests.checks import about, check_kernel, check_program
from latlab.convert.latency import program_from_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import Program, check_program_name
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceServicer


class ProgramsServicer(LatencyServiceServicer):
    """Takes programs, whole or in parts."""

    _programs: LabPrograms

    def UploadProgram(  # noqa: N802
        self, request_iterator: Iterator[latency_pb2.UploadRequest], context: grpc.ServicerContext
    ) -> latency_pb2.UploadResponse:
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "program":
            raise InvalidRequest("an upload must begin with the program's description", "program")
        with about("program"):
            program = _announced(first.program)
        self._programs.add_program(program, (part.chunk for part in request_iterator))
        return latency_pb2.UploadResponse()

    def GetUpload(  # noqa: N802
        self, request: latency_pb2.GetUploadRequest, context: grpc.ServicerContext
    ) -> latency_pb2.Upload:
        sha256 = check_program_name(request.program_sha256)
        return _upload(sha256, self._programs.received(sha256))

    def WriteProgram(  # noqa: N802
        self,
        request_iterator: Iterator[latency_pb2.WriteProgramRequest],
        context: grpc.ServicerContext,
    ) -> latency_pb2.Upload:
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "start":
            raise InvalidRequest(
                "an upload must begin with a start: its program and its offset", "start"
            )
        with about("start.program"):
            program = _announced(first.start.program)
        chunks = _chunks(request_iterator)
        return _upload(
            program.sha256, self._programs.write(program, first.start.offset_bytes, chunks)
        )


def _chunks(requests: Iterator[latency_pb2.WriteProgramRequest]) -> Iterator[bytes]:
    with suppress(grpc.RpcError):  # the client has gone; what has arrived is kept
        for request in requests:
            if request.WhichOneof("part") != "chunk":
                raise InvalidRequest("an upload has one start: send the bytes as chunks", "chunk")
            yield request.chunk


def _announced(message: latency_pb2.Program) -> Program:
    """Return the program that a client announces. Raises InvalidRequest."""
    for kernel in message.kernels:
        check_kernel(kernel.SerializeToString())
    try:
        return check_program(program_from_message(message))
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def _upload(sha256: str, received: Received) -> latency_pb2.Upload:
    return latency_pb2.Upload(
        program_sha256=sha256,
        received_bytes=received.received_bytes,
        complete=received.is_complete,
    )
