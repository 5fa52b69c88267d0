"""Convert progress, findings, compactions and exported rows to and from protobuf messages."""

from __future__ import annotations

from typing import Any

from latlab.convert.fields import enum_member, enum_number, fields_of
from latlab.domain.database.maintenance import (
    ColumnKind,
    Compaction,
    CompactionPolicy,
    DatabaseFinding,
    ExportBatch,
    ExportColumn,
    Progress,
)
from latlab.v1 import maintenance_pb2

_LISTS = {
    ColumnKind.INTEGER: "integers",
    ColumnKind.NUMBER: "numbers",
    ColumnKind.TEXT: "texts",
    ColumnKind.FLAG: "flags",
}


def progress_to_message(progress: Progress) -> maintenance_pb2.MaintenanceProgress:
    """Return the protobuf message for progress."""
    return maintenance_pb2.MaintenanceProgress(
        step=progress.step, done=progress.done, total=progress.total
    )


def progress_from_message(message: maintenance_pb2.MaintenanceProgress) -> Progress:
    """Return the progress that a protobuf message holds."""
    return Progress(message.step, message.done, message.total)


def finding_to_message(finding: DatabaseFinding) -> maintenance_pb2.DatabaseFinding:
    """Return the protobuf message for a finding."""
    return maintenance_pb2.DatabaseFinding(
        kind=finding.kind,
        subject=finding.subject,
        problem=finding.problem,
        remedy=finding.remedy,
    )


def finding_from_message(message: maintenance_pb2.DatabaseFinding) -> DatabaseFinding:
    """Return the finding that a protobuf message holds."""
    return DatabaseFinding(**fields_of(message))


def policy_to_message(policy: CompactionPolicy) -> maintenance_pb2.CompactRequest:
    """Return the protobuf message for a policy."""
    return maintenance_pb2.CompactRequest(
        before_unix_ns=policy.before_unix_ns,
        traces_only=policy.traces_only,
        dry_run=policy.dry_run,
    )


def policy_from_message(message: maintenance_pb2.CompactRequest) -> CompactionPolicy:
    """Return the policy that a protobuf message holds."""
    return CompactionPolicy(**fields_of(message))


def compaction_to_message(compaction: Compaction) -> maintenance_pb2.Compaction:
    """Return the protobuf message for what a compaction has done."""
    return maintenance_pb2.Compaction(
        measurements=compaction.measurements,
        removed_bytes=compaction.removed_bytes,
        kept=compaction.kept,
        returned_bytes=compaction.returned_bytes,
        advice=compaction.advice,
    )


def compaction_from_message(message: maintenance_pb2.Compaction) -> Compaction:
    """Return what a compaction has done, as a protobuf message says."""
    return Compaction(
        measurements=message.measurements,
        removed_bytes=message.removed_bytes,
        kept=dict(message.kept),
        returned_bytes=message.returned_bytes,
        advice=message.advice,
    )


def batch_to_message(batch: ExportBatch) -> maintenance_pb2.ExportResponse:
    """Return the protobuf message for rows of an export."""
    return maintenance_pb2.ExportResponse(
        rows=len(batch.rows),
        columns=[
            _column_to_message(column, [row[place] for row in batch.rows])
            for place, column in enumerate(batch.columns)
        ],
    )


def batch_from_message(message: maintenance_pb2.ExportResponse) -> ExportBatch:
    """Return the rows of an export that a protobuf message holds.

    Raises ValueError if its columns do not fit together.
    """
    columns, values = [], []
    for each in message.columns:
        kind = enum_member(maintenance_pb2.ColumnKind, each.kind, ColumnKind)
        if kind is None:
            raise ValueError(f"column {each.name} has a type that this version does not know")
        columns.append(ExportColumn(each.name, kind))
        values.append(_values(each, kind, message.rows))
    return ExportBatch(tuple(columns), list(zip(*values, strict=True)))


def _column_to_message(column: ExportColumn, values: list[Any]) -> maintenance_pb2.ExportedColumn:
    message = maintenance_pb2.ExportedColumn(
        name=column.name, kind=enum_number(maintenance_pb2.ColumnKind, column.kind)
    )
    present = [value for value in values if value is not None]
    getattr(message, _LISTS[column.kind]).extend(present)
    message.absent.extend(place for place, value in enumerate(values) if value is None)
    return message


def _values(message: maintenance_pb2.ExportedColumn, kind: ColumnKind, rows: int) -> list[Any]:
    present, absent = iter(getattr(message, _LISTS[kind])), set(message.absent)
    values = [None if place in absent else next(present, None) for place in range(rows)]
    if len(values) - len(absent) != len(getattr(message, _LISTS[kind])):
        raise ValueError(f"column {message.name} has the wrong number of values")
    return values
