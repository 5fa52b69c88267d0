"""The service that looks after the whole database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import grpc

from host.database.maintenance.maintenance import Maintenance
from latlab.common.files import PART_SUFFIX, storing
from latlab.convert.database.maintenance import (
    batch_to_message,
    compaction_to_message,
    finding_to_message,
    policy_from_message,
    progress_to_message,
)
from latlab.convert.fields import enum_member
from latlab.domain.database.maintenance import Compaction, DatabaseFinding, ExportedRows
from latlab.domain.errors import InvalidRequest
from latlab.v1 import maintenance_pb2
from latlab.v1.maintenance_pb2_grpc import MaintenanceServiceServicer

CHUNK_BYTES = 1 << 20


class MaintenanceServicer(MaintenanceServiceServicer):
    """Serves maintenance.proto.

    A stream whose client has gone is closed, which ends the work at its next step.
    """

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance

    def BackUp(  # noqa: N802
        self, request: maintenance_pb2.BackUpRequest, context: grpc.ServicerContext
    ) -> Iterator[maintenance_pb2.BackUpResponse]:
        # What a daemon that is killed leaves there goes at its next start.
        copy = self._maintenance.programs / f"backup.{uuid.uuid4().hex}{PART_SUFFIX}"
        with storing(copy):
            try:
                for progress in self._maintenance.back_up(copy):
                    message = progress_to_message(progress)
                    yield maintenance_pb2.BackUpResponse(progress=message)
                yield maintenance_pb2.BackUpResponse(size_bytes=copy.stat().st_size)
                with copy.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        yield maintenance_pb2.BackUpResponse(chunk=chunk)
            finally:
                copy.unlink(missing_ok=True)

    def Check(  # noqa: N802
        self, request: maintenance_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> Iterator[maintenance_pb2.CheckResponse]:
        for each in self._maintenance.check():
            if isinstance(each, DatabaseFinding):
                yield maintenance_pb2.CheckResponse(finding=finding_to_message(each))
            else:
                yield maintenance_pb2.CheckResponse(progress=progress_to_message(each))

    def Compact(  # noqa: N802
        self, request: maintenance_pb2.CompactRequest, context: grpc.ServicerContext
    ) -> Iterator[maintenance_pb2.CompactResponse]:
        if request.before_unix_ns <= 0:
            raise InvalidRequest(
                "say up to which time samples are to be removed: before_unix_ns", "before_unix_ns"
            )
        for each in self._maintenance.compact(policy_from_message(request)):
            if isinstance(each, Compaction):
                message = compaction_to_message(each)
                yield maintenance_pb2.CompactResponse(compaction=message)
            else:
                yield maintenance_pb2.CompactResponse(progress=progress_to_message(each))

    def Export(  # noqa: N802
        self, request: maintenance_pb2.ExportRequest, context: grpc.ServicerContext
    ) -> Iterator[maintenance_pb2.ExportResponse]:
        rows = enum_member(maintenance_pb2.ExportedRows, request.rows, ExportedRows)
        if rows is None:
            raise InvalidRequest(
                "say what one row is to be: a measurement, a kernel or a sample", "rows"
            )
        for batch in self._maintenance.export(rows):
            yield batch_to_message(batch)
