"""Copy all rows from one database into another, whatever keeps each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import JSON, Column, Connection, MetaData, Table, func, select, text
from sqlalchemy.types import UserDefinedType

from host.database.access.tables import metadata
from host.database.raw import columns

ROWS = 200  # read and written at once; a visit's row may hold hundreds of kilobytes

OnProgress = Callable[[int, int], None]  # is called with the rows that are copied, and all rows


class _JsonText(UserDefinedType[str]):
    """JSON that is written as the text that was read, so that a copy is exact."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 -- as SQLAlchemy calls it
        return "JSON"


def copy_rows(source: Connection, target: Connection, on_progress: OnProgress) -> None:
    """Copy the rows of all tables.

    Args:
        source: A transaction that sees the database at one instant.
        target: A transaction of a database of the same schema. Its rows are removed first.
        on_progress: Is called after each part. What it raises ends the copy.
    """
    counts = {table: source.scalar(select(func.count()).select_from(table)) for table in _tables()}
    total, done = sum(count or 0 for count in counts.values()), 0
    for table in reversed(_tables()):
        target.execute(table.delete())
    for table in _tables():
        insert = _as_texts(table).insert()
        found = source.execute(select(*columns(table)).execution_options(yield_per=ROWS))
        for rows in found.partitions():
            target.execute(insert, [_values(row._mapping) for row in rows])
            done += len(rows)
            on_progress(done, max(done, total))
    if target.dialect.name == "postgresql":
        _set_sequences(target)


def is_empty(connection: Connection) -> bool:
    """Return whether no table has a row, but for the database's id, which is made with it."""
    return not any(
        connection.execute(select(*table.primary_key.columns).limit(1)).first()
        for table in _tables()
        if table.name != "database_id"
    )


def _tables() -> list[Table]:
    """Return all tables, each after those that its rows refer to."""
    return list(metadata.sorted_tables)


def _as_texts(table: Table) -> Table:
    """Return the table as one whose columns of JSON take texts."""
    return Table(
        table.name,
        MetaData(),
        *(
            Column(each.name, _JsonText() if isinstance(each.type, JSON) else each.type)
            for each in table.c
        ),
    )


def _values(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _set_sequences(connection: Connection) -> None:
    """Let each sequence of PostgreSQL go on after the ids that were copied."""
    for table in _tables():
        column = table.autoincrement_column
        if column is not None:
            highest = connection.scalar(select(func.max(column)))
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence(:table, :name), :value, :is_called)"),
                {
                    "table": table.name,
                    "name": column.name,
                    "value": highest or 1,
                    "is_called": highest is not None,
                },
            )
