"""Programs and their kernels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select

from host.database.schema import kernels, programs
from host.database.series import pack_int64, unpack_int64
from host.domain import Program, TensorSpec
from host.errors import InvalidRequest
from latency_models.kernel import Kernel


def add_program(connection: Connection, program: Program) -> None:
    """Raises InvalidRequest when the lab knows these bytes with other kernels or inputs:
    measurements rest on both."""
    known = get_program(connection, program.sha256)
    if known is None:
        kernel_ids = _kernel_ids(connection, program.kernels)
        row = asdict(program)
        del row["kernels"], row["inputs"]
        row["input_shapes"] = program.input_shapes
        row["input_values"] = [
            {"dtype": spec.dtype, "low": spec.low, "high": spec.high} for spec in program.inputs
        ]
        connection.execute(programs.insert().values(kernel_ids=pack_int64(kernel_ids), **row))
    elif known.kernels != program.kernels:
        raise InvalidRequest(f"program {program.sha256[:12]} is known with another list of kernels")
    elif known.inputs != program.inputs:
        raise InvalidRequest(
            f"program {program.sha256[:12]} is known with the inputs"
            f" {', '.join(map(str, known.inputs))}, not {', '.join(map(str, program.inputs))}:"
            " its measurements rest on them"
        )


def get_program(connection: Connection, sha256: str) -> Program | None:
    row = connection.execute(select(programs).where(programs.c.sha256 == sha256)).one_or_none()
    if row is None:
        return None
    kernel_ids = unpack_int64(row.kernel_ids).tolist()
    by_id = get_kernels(connection, set(kernel_ids))
    return Program(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        backend=row.backend,
        inputs=_inputs(row.input_shapes, row.input_values),
        kernels=tuple(by_id[kernel_id] for kernel_id in kernel_ids),
        undelegated=tuple(row.undelegated),
        exporter=row.exporter,
    )


def get_kernels(connection: Connection, ids: Iterable[int]) -> dict[int, Kernel]:
    query = select(kernels.c.id, kernels.c.fields).where(kernels.c.id.in_(list(ids)))
    return {row.id: _kernel(row.fields) for row in connection.execute(query)}


def _inputs(shapes: list[list[int]], values: list[dict[str, Any]] | None) -> tuple[TensorSpec, ...]:
    """values: parallel to `shapes`; None in an old row, whose inputs are all float32."""
    return tuple(
        TensorSpec(tuple(shape), **value)
        for shape, value in zip(shapes, values or [{}] * len(shapes), strict=True)
    )


def _kernel_ids(connection: Connection, wanted: tuple[Kernel, ...]) -> list[int]:
    """The row ids of `wanted`, adding the kernels that are new."""
    by_text = {str(kernel): kernel for kernel in wanted}
    query = select(kernels.c.text, kernels.c.id).where(kernels.c.text.in_(list(by_text)))
    ids = {row.text: row.id for row in connection.execute(query)}
    new = [
        {"text": text, "fields": asdict(kernel)}
        for text, kernel in by_text.items()
        if text not in ids
    ]
    if new:
        connection.execute(kernels.insert(), new)
        ids = {row.text: row.id for row in connection.execute(query)}
    return [ids[str(kernel)] for kernel in wanted]


def _kernel(fields: dict[str, Any]) -> Kernel:
    """JSON has lists where the Kernel has tuples."""
    return Kernel(
        **{
            **fields,
            "inputs": tuple(map(tuple, fields["inputs"])),
            "output": tuple(fields["output"]),
            "kernel_size": tuple(fields["kernel_size"]),
            "stride": tuple(fields["stride"]),
        }
    )
