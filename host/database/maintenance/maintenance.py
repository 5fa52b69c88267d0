"""Work on the whole database: through the daemon, or on the file without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from host.database.engine import Database
from host.database.maintenance.backup import back_up
from host.database.maintenance.checking import check
from host.database.maintenance.compaction import compact
from host.database.maintenance.exporting import export
from host.database.summaries import Statistic
from latlab.domain.database.maintenance import (
    Compaction,
    CompactionPolicy,
    DatabaseFinding,
    ExportBatch,
    ExportedRows,
    Progress,
)


class Maintenance:
    """Backs up, checks, compacts and exports a database.

    `latlab.client.database.maintenance.DatabaseClient` has the same methods for a lab that runs.

    Attributes:
        programs: The folder of the programs' files.
    """

    def __init__(
        self, database: Database, programs: Path, statistic: Statistic, *, is_alone: bool
    ) -> None:
        """Use a database.

        Args:
            database: The database.
            programs: The folder of the programs' files.
            statistic: By which summaries are made now.
            is_alone: Whether nobody else uses the database.
        """
        self.programs = programs
        self._database = database
        self._statistic = statistic
        self._is_alone = is_alone

    def back_up(self, file: Path) -> Iterator[Progress]:
        """Write the database to a new file; see `host.database.maintenance.backup.back_up`."""
        return back_up(self._database, file)

    def check(self) -> Iterator[Progress | DatabaseFinding]:
        """Yield what is wrong with the database, and how far the check is."""
        return check(self._database, self.programs, self._statistic)

    def compact(self, policy: CompactionPolicy) -> Iterator[Progress | Compaction]:
        """Remove raw samples, and yield how far that is; what was done comes last."""
        return compact(self._database, policy, self._statistic, is_alone=self._is_alone)

    def export(self, rows: ExportedRows) -> Iterator[ExportBatch]:
        """Yield stored measurements as rows."""
        return export(self._database, rows)
