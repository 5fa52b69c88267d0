"""The provisional latencies of networks that are being measured, as they narrow."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.live import Live
from rich.table import Table
from rich.text import Text

from host.cli.console import console, words
from latlab.domain.estimate import LatencyEstimate
from search.cli.networks.tables import latency_cells

# On a terminal, the networks whose latencies changed last.
MAX_ROWS = 10


class LiveEstimates:
    """Shows the provisional latency of each network; a context manager.

    On a terminal, a table is drawn anew after each visit, and removed at the end. Elsewhere, a
    line is printed when a network has its first value.

    Attributes:
        estimates: The newest estimate of each network, by its position.
    """

    def __init__(self, names: Sequence[str], target: str) -> None:
        """Show nothing yet.

        Args:
            names: The networks' names.
            target: The name of the target that they are measured on.
        """
        self.estimates: dict[int, LatencyEstimate] = {}
        self._names = names
        self._title = f"measuring on {target}"
        self._done = 0
        # It is drawn when there is news: drawing more often would disturb measurements here.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveEstimates:
        """Begin to draw, on a terminal."""
        if console.is_interactive:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the table."""
        self._live.stop()

    def done(self, count: int) -> None:
        """Note how many networks have an outcome."""
        self._done = count
        self._draw()

    def update(self, position: int, estimate: LatencyEstimate) -> None:
        """Show the newest estimate of the network at a position."""
        is_first = self.estimates.pop(position, None) is None
        self.estimates[position] = estimate  # the newest is the last
        if not self._live.is_started and is_first:
            latency, interval = latency_cells(estimate)
            visits = _visits(estimate)
            console.print(
                f"{self._names[position]}: {latency} so far, 90 % interval {interval},"
                f" from {visits} visit{'s' * (visits > 1)}"
            )
        self._draw()

    def table(self, positions: Sequence[int]) -> Table:
        """Return the table of the provisional latencies of networks."""
        table = Table("network", "latency so far", "90 % interval", "visits")
        for position in positions:
            estimate = self.estimates[position]
            visits = str(_visits(estimate))
            table.add_row(words(self._names[position]), *latency_cells(estimate), visits)
        return table

    def _draw(self) -> None:
        if not self._live.is_started:
            return
        table = self.table(sorted(list(self.estimates)[-MAX_ROWS:]))
        table.title = Text(f"{self._title}: {self._done} of {len(self._names)} done")
        self._live.update(table, refresh=True)


def _visits(estimate: LatencyEstimate) -> int:
    """Return how many untraced visits an estimate rests on."""
    raw = estimate.raw
    return 0 if raw is None else raw.clean_visits + raw.disturbed_visits
