"""The part of the lab's client that looks after its database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from latlab.client.connection.calls import Calls
from latlab.common.files import replacing, require_space
from latlab.convert.database.maintenance import (
    batch_from_message,
    compaction_from_message,
    finding_from_message,
    policy_to_message,
    progress_from_message,
)
from latlab.convert.fields import enum_number
from latlab.domain.database.maintenance import (
    Compaction,
    CompactionPolicy,
    DatabaseFinding,
    ExportBatch,
    ExportedRows,
    Progress,
)
from latlab.domain.errors import InvalidRequest, StorageError
from latlab.v1 import maintenance_pb2
from latlab.v1.maintenance_pb2_grpc import MaintenanceServiceStub

TIMEOUT_S = 24 * 3_600.0  # a large database is read for hours
PATIENCE_S = 600.0  # the longest step without a word: SQLite's check of a large file


class DatabaseClient:
    """The database of a lab that runs, as `LatencyClient.database`."""

    def __init__(self, calls: Calls) -> None:
        """Use the channel of a client."""
        self._calls = calls
        self._stub = MaintenanceServiceStub(calls.channel)

    def back_up(self, file: Path) -> Iterator[Progress]:
        """Write the lab's database, as it is at one instant, to a new file of mode 0600.

        Args:
            file: The file. It is whole, or it is not there.

        Yields:
            How far the lab is with its copy, and then how many bytes have come.

        Raises:
            InvalidRequest: The file exists.
            StorageError: The file cannot be written, or the lab's disk has no room for a copy.
        """
        if file.exists() or file.is_symlink():
            raise InvalidRequest(f"{file} exists already: name a file that does not")
        request = maintenance_pb2.BackUpRequest()
        size_bytes, received_bytes = 0, 0
        with replacing(file, mode=0o600) as draft, draft.open("wb") as stream:
            for response in self._calls.stream(
                self._stub.BackUp, request, TIMEOUT_S, patience_s=PATIENCE_S
            ):
                match response.WhichOneof("part"):
                    case "progress":
                        yield progress_from_message(response.progress)
                    case "size_bytes":
                        size_bytes = response.size_bytes
                        require_space(file.parent, size_bytes)
                    case "chunk":
                        received_bytes += len(response.chunk)
                        stream.write(response.chunk)
                        yield Progress("receiving bytes", received_bytes, size_bytes)
            if not received_bytes or received_bytes != size_bytes:
                raise StorageError(
                    f"the lab sent {received_bytes} of {size_bytes} bytes: back up again"
                )

    def check(self) -> Iterator[Progress | DatabaseFinding]:
        """Yield what is wrong with the lab's database, and how far the check is."""
        request = maintenance_pb2.CheckRequest()
        for response in self._calls.stream(
            self._stub.Check, request, TIMEOUT_S, patience_s=PATIENCE_S
        ):
            if response.HasField("finding"):
                yield finding_from_message(response.finding)
            elif response.HasField("progress"):
                yield progress_from_message(response.progress)

    def compact(self, policy: CompactionPolicy) -> Iterator[Progress | Compaction]:
        """Remove raw samples, and yield how far that is; what was done comes last."""
        request = policy_to_message(policy)
        for response in self._calls.stream(
            self._stub.Compact, request, TIMEOUT_S, patience_s=PATIENCE_S
        ):
            if response.HasField("compaction"):
                yield compaction_from_message(response.compaction)
            elif response.HasField("progress"):
                yield progress_from_message(response.progress)

    def export(self, rows: ExportedRows) -> Iterator[ExportBatch]:
        """Yield stored measurements as rows, in the order of their ids.

        Args:
            rows: What one row is.

        Raises:
            StorageError: The lab's answer makes no sense.
        """
        request = maintenance_pb2.ExportRequest(
            rows=enum_number(maintenance_pb2.ExportedRows, rows)
        )
        for response in self._calls.stream(
            self._stub.Export, request, TIMEOUT_S, patience_s=PATIENCE_S
        ):
            try:
                yield batch_from_message(response)
            except ValueError as error:
                raise StorageError(f"the lab's answer makes no sense: {error}") from error
