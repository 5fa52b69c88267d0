"""Convert between values and columns, which may be damaged or written by a newer version.

A sample series is one BLOB of little-endian int64 or float64.

A column of JSON is read as text and parsed here. If the driver parsed it, one damaged row would
make all rows of its query unreadable.
"""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import JSON, ColumnElement, Table, Text, cast

from latlab.domain.errors import UnreadableRow

T = TypeVar("T")

# Errors that parsing, unpacking and building a noun raise for odd values.
_ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


def columns(table: Table) -> list[ColumnElement[Any]]:
    """Return all columns of the table, those of JSON as text."""
    return [
        cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column
        for column in table.c
    ]


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors that odd values raise into UnreadableRow, which names what is read."""
    try:
        yield
    except UnreadableRow:
        raise
    except _ODD as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnreadableRow(f"{what} cannot be read: {said or type(error).__name__}") from error


def parse(text: str | None) -> Any:  # noqa: ANN401
    """Parse JSON; None for no text. Raises ValueError.

    Only ASCII is ever written, so another text was damaged.
    """
    if text is None:
        return None
    if not text.isascii():
        raise ValueError("the stored JSON is damaged: it has characters beyond ASCII")
    return json.loads(text)


def noun(kind: type[T], values: object, *, ignore_unknown: bool = False) -> T:
    """Build a dataclass of plain fields.

    Args:
        kind: The dataclass.
        values: Its fields by name.
        ignore_unknown: Whether to ignore fields that a newer version has added.

    Raises:
        ValueError: The values are not fields of it by name and type.
        TypeError: A field is missing.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"the value is not a {kind.__name__}: {str(values)[:80]}")
    types_of = _types_of(kind)  # type: ignore[arg-type]  # a class is hashable
    if ignore_unknown:
        values = {name: value for name, value in values.items() if name in types_of}
    for name, value in values.items():
        if name not in types_of:
            raise ValueError(f"{kind.__name__} has no field {str(name)[:80]!r}")
        if not _fits(value, types_of[name]):
            raise ValueError(f"{name} of a {kind.__name__} cannot be {str(value)[:80]!r}")
    return kind(**values)


@functools.cache
def _types_of(kind: type) -> dict[str, tuple[type, ...]]:
    """Return the types that each field has in JSON."""
    hints = typing.get_type_hints(kind)
    return {name: _alternatives(hint) for name, hint in hints.items()}


def _alternatives(hint: Any) -> tuple[type, ...]:  # noqa: ANN401
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return tuple(one for each in typing.get_args(hint) for one in _alternatives(each))
    return (int, float) if hint is float else (hint,)


def _fits(value: object, alternatives: tuple[type, ...]) -> bool:
    """Return whether a value has one of the types. A bool is not a number."""
    if isinstance(value, bool):
        return bool in alternatives
    return isinstance(value, alternatives)


def pack_int64(values: Sequence[int] | Sequence[Sequence[int]]) -> bytes:
    """Return integers as a BLOB."""
    return np.asarray(values, dtype="<i8").tobytes()


def unpack_int64(blob: bytes) -> npt.NDArray[np.int64]:
    """Return the integers of a BLOB."""
    return np.frombuffer(blob, dtype="<i8")


def pack_float64(values: Sequence[float]) -> bytes:
    """Return floats as a BLOB."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack_float64(blob: bytes) -> npt.NDArray[np.float64]:
    """Return the floats of a BLOB."""
    return np.frombuffer(blob, dtype="<f8")
