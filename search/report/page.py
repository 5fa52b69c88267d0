"""The report: one HTML file that needs nothing else, and its plots as PNG."""

from __future__ import annotations

from pathlib import Path

from search.report.data import ReportData


def write_report(data: ReportData, directory: Path) -> Path:
    """Writes `report.html` and the plots into `directory` and returns the page's path.
    A study without trials, or without a measured one, makes a page that says so."""
    raise NotImplementedError
