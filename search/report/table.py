"""The front as a table for the terminal."""

from __future__ import annotations

from rich.table import Table

from search.report.data import ReportData


def front_table(data: ReportData) -> Table:
    """The front of measured networks, most accurate first."""
    raise NotImplementedError
