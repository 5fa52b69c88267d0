"""Write exported rows to a file: CSV or Parquet, by its name."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latlab.common.files import replacing
from latlab.domain.database.maintenance import ColumnKind, ExportBatch, ExportColumn
from latlab.domain.errors import InvalidRequest

CSV, PARQUET = ".csv", ".parquet"
# A spreadsheet takes a cell that begins so for a formula, which may run programs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


Write = Callable[[ExportBatch], None]


def check_name(file: Path) -> None:
    """Check that a file can be written before rows are read.

    Raises InvalidRequest for another kind of file, or without what Parquet needs.
    """
    if file.suffix not in (CSV, PARQUET):
        raise InvalidRequest(f"{file} is neither a .csv nor a .parquet: name one of these")
    if file.suffix == PARQUET:
        _pyarrow()


def write_rows(file: Path, batches: Iterable[ExportBatch]) -> int:
    """Write rows to a file, whole or not at all, and return their number.

    Args:
        file: The file, whose name says the format. It is replaced if it exists.
        batches: The rows. They are written as they come, so that memory stays bounded.

    Raises:
        InvalidRequest: As `check_name` does.
        StorageError: The file cannot be written.
    """
    check_name(file)
    opened = _csv_writer if file.suffix == CSV else _parquet_writer
    remaining = iter(batches)
    first, rows = next(remaining), 0
    with replacing(file) as draft, opened(draft, first.columns) as write:
        for batch in itertools.chain([first], remaining):
            write(batch)
            rows += len(batch.rows)
    return rows


def cell(value: float | str | bool | None) -> str:
    """Return the text of a value in a CSV file: exact for numbers, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


@contextmanager
def _csv_writer(file: Path, columns: tuple[ExportColumn, ...]) -> Iterator[Write]:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([column.name for column in columns])
        yield lambda batch: writer.writerows([list(map(cell, row)) for row in batch.rows])


@contextmanager
def _parquet_writer(file: Path, columns: tuple[ExportColumn, ...]) -> Iterator[Write]:
    arrow, parquet = _pyarrow()
    types = {
        ColumnKind.INTEGER: arrow.int64(),
        ColumnKind.NUMBER: arrow.float64(),
        ColumnKind.TEXT: arrow.string(),
        ColumnKind.FLAG: arrow.bool_(),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in columns])
    with parquet.ParquetWriter(file, schema) as writer:

        def write(batch: ExportBatch) -> None:
            series = zip(*batch.rows, strict=True) if batch.rows else ([] for _ in columns)
            arrays = [
                arrow.array(list(values), field.type)
                for field, values in zip(schema, series, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))

        yield write


def _pyarrow() -> tuple[Any, Any]:
    """Return the modules of pyarrow. Raises InvalidRequest without them."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidRequest(
            "a .parquet needs pyarrow: pip install 'latency-lab[parquet]', or name a .csv"
        ) from error
    return pyarrow, pyarrow.parquet
