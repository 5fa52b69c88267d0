"""How values lie in columns, which may be damaged or written by a newer version.

A sample series is one BLOB of little-endian int64 (or float64), nothing else.

A column of JSON is read as its text and parsed here: parsed by the driver, one row that
cannot be would cost all rows of its query.
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

# What parsing, unpacking and building a noun of odd values raise.
_ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


def columns(table: Table) -> list[ColumnElement[Any]]:
    """All columns of the table, those of JSON as text."""
    return [
        cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column
        for column in table.c
    ]


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raises UnreadableRow, naming `what`, for whatever odd values raise."""
    try:
        yield
    except UnreadableRow:
        raise
    except _ODD as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnreadableRow(f"{what} cannot be read: {said or type(error).__name__}") from error


def parse(text: str | None) -> Any:  # noqa: ANN401
    """None for no text. Raises ValueError; what is written here is ASCII, so a text with a
    replaced character was damaged."""
    if text is None:
        return None
    if not text.isascii():
        raise ValueError("it is no ASCII text")
    return json.loads(text)


def noun(kind: type[T], values: object, *, ignore_unknown: bool = False) -> T:
    """A noun of plain fields. Raises ValueError and TypeError where `values` are no fields of
    it by name and type; what a newer version has added is ignored where `ignore_unknown`."""
    if not isinstance(values, Mapping):
        raise ValueError(f"it is no {kind.__name__}: {str(values)[:80]}")
    types_of = _types_of(kind)  # type: ignore[arg-type]  # a class is hashable
    if ignore_unknown:
        values = {name: value for name, value in values.items() if name in types_of}
    for name, value in values.items():
        if name not in types_of:
            raise ValueError(f"{kind.__name__} has no field {str(name)[:80]!r}")
        if not _fits(value, types_of[name]):
            raise ValueError(f"{name} of a {kind.__name__} is no {str(value)[:80]!r}")
    return kind(**values)


@functools.cache
def _types_of(kind: type) -> dict[str, tuple[type, ...]]:
    """The types of each field, as they are in JSON."""
    hints = typing.get_type_hints(kind)
    return {name: _alternatives(hint) for name, hint in hints.items()}


def _alternatives(hint: Any) -> tuple[type, ...]:  # noqa: ANN401
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return tuple(one for each in typing.get_args(hint) for one in _alternatives(each))
    return (int, float) if hint is float else (hint,)


def _fits(value: object, alternatives: tuple[type, ...]) -> bool:
    """A bool is no number."""
    if isinstance(value, bool):
        return bool in alternatives
    return isinstance(value, alternatives)


def pack_int64(values: Sequence[int] | Sequence[Sequence[int]]) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()


def unpack_int64(blob: bytes) -> npt.NDArray[np.int64]:
    return np.frombuffer(blob, dtype="<i8")


def pack_float64(values: Sequence[float]) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def unpack_float64(blob: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(blob, dtype="<f8")
