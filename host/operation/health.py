"""The health of the lab, for monitors that ask over HTTP."""

from __future__ import annotations

from collections import Counter
from typing import Any

from host.devices.fleet import Fleet
from host.operation.database_watch import DatabaseWatch
from latlab.domain.errors import Unavailable


class Health:
    """Judges the lab: its database answers, and a device was reached since it was started."""

    def __init__(self, watch: DatabaseWatch, fleet: Fleet) -> None:
        self._watch = watch
        self._fleet = fleet
        self._was_reached = False

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the lab is well, and what it consists of, for JSON."""
        workers = self._fleet.workers
        self._was_reached |= any(worker.device is not None for worker in workers)
        problems = []
        try:
            self._watch.facts()
        except Unavailable as error:
            problems.append(str(error))
        if not self._was_reached:
            problems.append("no device was reached yet: `latlab doctor` says why")
        phases = Counter(worker.state.phase.value for worker in workers)
        return not problems, {
            "status": "unwell" if problems else "well",
            "problems": problems,
            "devices": dict(sorted(phases.items())),
        }
