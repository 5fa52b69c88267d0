"""Texts about the costs of programs beside their latency."""

from __future__ import annotations

from host.cli.console import milliseconds
from latlab.domain.estimate import Footprint

FOOTPRINT_COLUMNS = ("program size", "loading", "first run", "peak memory", "planned memory")
# What the times and the memory are.
FOOTPRINT_REMARK = (
    "loading and first run: medians over the visits; peak memory: of the runner with the program"
)


def footprint_cells(footprint: Footprint | None) -> tuple[str, ...]:
    """Return the cells of FOOTPRINT_COLUMNS; "" for what is not known."""
    if footprint is None:
        return ("",) * len(FOOTPRINT_COLUMNS)
    return (
        _megabytes(footprint.size_bytes or None),
        _milliseconds(footprint.load_ns),
        _milliseconds(footprint.first_run_ns),
        _megabytes(footprint.peak_rss_bytes),
        _megabytes(footprint.planned_bytes),
    )


def _milliseconds(ns: float | None) -> str:
    return "" if ns is None else milliseconds(ns)


def _megabytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e6:.2f} MB"
