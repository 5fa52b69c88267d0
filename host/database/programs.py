"""Store programs, their kernels, and the names under which people keep some of them."""

from __future__ import annotations

import contextlib
import functools
import logging
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select

from host.database import raw
from host.database.raw import pack_int64, unpack_int64
from host.database.schema import baselines, kernels, programs
from latency_models.packing import check_sizes
from latlab.domain.errors import InvalidRequest, UnreadableRow
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.program import Baseline, Program, TensorSpec

log = logging.getLogger(__name__)


def add_program(connection: Connection, program: Program) -> None:
    """Store a program. A stored one that cannot be read is replaced.

    Raises InvalidRequest if the lab knows these bytes with other kernels or inputs, on which
    measurements rest.
    """
    try:
        known = get_program(connection, program.sha256)
    except UnreadableRow as error:
        log.warning("%s: it is replaced", error)
        connection.execute(
            programs.update()
            .where(programs.c.sha256 == program.sha256)
            .values(_row(connection, program))
        )
        return
    if known is None:
        connection.execute(programs.insert().values(_row(connection, program)))
    elif known.kernels != program.kernels:
        raise InvalidRequest(
            f"program {program.sha256[:12]} is known with another list of kernels, on which its"
            " measurements rest: export it with the same exporter as before"
        )
    elif known.inputs != program.inputs:
        raise InvalidRequest(
            f"program {program.sha256[:12]} is known with the inputs"
            f" {', '.join(map(str, known.inputs))}, not {', '.join(map(str, program.inputs))}:"
            " its measurements rest on them"
        )


def get_program(connection: Connection, sha256: str) -> Program | None:
    """Return the program with this SHA-256; None without one. Raises UnreadableRow."""
    query = select(*raw.columns(programs)).where(programs.c.sha256 == sha256)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    with raw.reading(f"program {sha256[:12]}"):
        kernel_ids = unpack_int64(row.kernel_ids).tolist()
        by_id = get_kernels(connection, set(kernel_ids))
        return Program(
            sha256=row.sha256,
            size_bytes=operator.index(row.size_bytes),
            backend=row.backend,
            inputs=_inputs(raw.parse(row.input_shapes), raw.parse(row.input_values)),
            kernels=kernels_of(kernel_ids, by_id),
            undelegated=tuple(map(_text, raw.parse(row.undelegated))),
            exporter=row.exporter,
        )


def set_baseline(connection: Connection, name: str, program_sha256: str, unix_ns: int) -> None:
    """Keep a program under a name, in place of the one that had it."""
    connection.execute(baselines.delete().where(baselines.c.name == name))
    connection.execute(
        baselines.insert().values(name=name, program_sha256=program_sha256, unix_ns=unix_ns)
    )


def stored_baselines(connection: Connection) -> list[Baseline]:
    """Return the programs that are kept under a name, in the order of the names."""
    query = (
        select(baselines, programs.c.size_bytes)
        .join(programs, baselines.c.program_sha256 == programs.c.sha256)
        .order_by(baselines.c.name)
    )
    return [Baseline(**row._mapping) for row in connection.execute(query)]


def remove_baseline(connection: Connection, name: str) -> bool:
    """Forget a name. Returns whether there was such a baseline."""
    removed = connection.execute(baselines.delete().where(baselines.c.name == name))
    return removed.rowcount > 0


def get_kernels(connection: Connection, ids: Iterable[int]) -> dict[int, Kernel]:
    """Return kernels by id, without those that do not exist or cannot be read."""
    query = select(*raw.columns(kernels)).where(kernels.c.id.in_(list(ids)))
    found = {}
    for row in connection.execute(query):
        with contextlib.suppress(UnreadableRow):
            found[row.id] = _kernel(row)
    return found


def kernels_of(kernel_ids: Sequence[int], by_id: Mapping[int, Kernel]) -> tuple[Kernel, ...]:
    """Return the kernels with these ids, in order. Raises UnreadableRow if one is missing."""
    missing = sorted(set(kernel_ids) - by_id.keys())
    if missing:
        raise UnreadableRow(f"kernel {missing[0]} is missing or cannot be read")
    return tuple(by_id[kernel_id] for kernel_id in kernel_ids)


class KernelLists:
    """The kernels of many programs. Each is read only once, because programs share most of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kernels: dict[int, Kernel] = {}
        self._lists: dict[bytes, tuple[Kernel, ...]] = {}

    def read(self, blobs: Iterable[bytes]) -> None:
        """Read the kernels of these lists of ids that were not read yet."""
        new = {blob for blob in blobs if blob not in self._lists}
        ids = {id_ for blob in new for id_ in _ids_from_blob(blob)}
        self._kernels |= get_kernels(self._connection, ids - self._kernels.keys())

    def get(self, blob: bytes) -> tuple[Kernel, ...]:
        """Return the kernels of a list of ids that was read. Raises UnreadableRow."""
        known = self._lists.get(blob)
        if known is None:
            with raw.reading("its program"):
                known = kernels_of(unpack_int64(blob).tolist(), self._kernels)
                check_sizes(known)
            self._lists[blob] = known
        return known


def _ids_from_blob(blob: bytes) -> list[int]:
    """Return ids of kernels. If they cannot be read there are none: `KernelLists.get` says so."""
    try:
        ids: list[int] = unpack_int64(blob).tolist()
    except (ValueError, TypeError):
        return []
    return ids


def _row(connection: Connection, program: Program) -> dict[str, Any]:
    row = asdict(program)
    del row["kernels"], row["inputs"]
    return {
        **row,
        "input_shapes": program.input_shapes,
        "input_values": [
            {"dtype": spec.dtype, "low": spec.low, "high": spec.high} for spec in program.inputs
        ],
        "kernel_ids": pack_int64(_kernel_ids(connection, program.kernels)),
    }


def _inputs(shapes: object, values: list[dict[str, Any]] | None) -> tuple[TensorSpec, ...]:
    """Read inputs.

    Args:
        shapes: The shapes of the inputs.
        values: The other fields of each; None in an old row, whose inputs are all float32.
    """
    parsed = _shapes(shapes)
    return tuple(
        TensorSpec(shape, **value)
        for shape, value in zip(parsed, values or [{}] * len(parsed), strict=True)
    )


def _kernel_ids(connection: Connection, wanted: tuple[Kernel, ...]) -> list[int]:
    """Return the row ids of kernels. New kernels are added, and unreadable ones replaced."""
    by_text = {str(kernel): kernel for kernel in wanted}
    query = select(*raw.columns(kernels)).where(kernels.c.text.in_(list(by_text)))
    ids = {}
    for row in connection.execute(query).all():
        ids[row.text] = row.id
        try:
            _kernel(row)
        except UnreadableRow:
            connection.execute(
                kernels.update()
                .where(kernels.c.id == row.id)
                .values(fields=asdict(by_text[row.text]))
            )
    new = [
        {"text": text, "fields": asdict(kernel)}
        for text, kernel in by_text.items()
        if text not in ids
    ]
    if new:
        connection.execute(kernels.insert(), new)
        ids = {row.text: row.id for row in connection.execute(query)}
    return [ids[str(kernel)] for kernel in wanted]


def _kernel(row: Row[Any]) -> Kernel:
    """Read a kernel. Raises UnreadableRow, also if its fields are those of another kernel."""
    with raw.reading(f"kernel {row.id}"):
        return _parsed(row.text, row.fields)


# Programs share most of their kernels, and parsing them would take most of a lookup.
@functools.lru_cache(maxsize=65_536)
def _parsed(text: str, stored_fields: str) -> Kernel:
    fields = raw.parse(stored_fields)
    height, width = _shape(fields["kernel_size"])
    vertical, horizontal = _shape(fields["stride"])
    kernel = Kernel(
        kind=_text(fields["kind"]),
        inputs=_shapes(fields["inputs"]),
        output=_shape(fields["output"]),
        kernel_size=(height, width),
        stride=(vertical, horizontal),
        dilation=_uint32(fields["dilation"]),
        groups=_uint32(fields["groups"]),
        activation=_text(fields["activation"]),
        dtype=_text(fields["dtype"]),
    )
    if fields.keys() != asdict(kernel).keys():
        raise ValueError(f"a kernel has the wrong fields {', '.join(sorted(fields))}")
    if str(kernel) != text:
        raise ValueError(f"the fields are of {str(kernel)[:80]!r}, not of {text[:80]!r}")
    return kernel


def _shapes(values: Any) -> tuple[Shape, ...]:  # noqa: ANN401
    return tuple(map(_shape, values))


def _shape(values: Any) -> Shape:  # noqa: ANN401
    return tuple(map(_uint32, values))


def _uint32(value: Any) -> int:  # noqa: ANN401
    """Check that a number fits into the messages of kernels."""
    if not 0 <= (number := operator.index(value)) < 2**32:
        raise ValueError(f"{number} is not a uint32")
    return number


def _text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
