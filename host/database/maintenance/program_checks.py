"""Compare the files of programs with the programs that the database knows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, select

from host.database.engine import Database
from host.database.schema import baselines, jobs, programs, sentinels
from latlab.common.files import storing
from latlab.domain.database.maintenance import DatabaseFinding, Progress

STEP = "checking programs"
UPLOAD_S = 3_600.0  # a younger file may be of an upload whose program is not stored yet
_PAGE = 500  # a database limits the parameters of a query


def findings_of_programs(database: Database, folder: Path) -> Iterator[Progress | DatabaseFinding]:
    """Yield files of programs that nobody knows, and programs in use that have no file."""
    yield Progress(STEP, 0, 1)
    with storing(folder):
        files = {path.stem: path for path in folder.glob("*.pte")} if folder.exists() else {}
    with database.reading() as connection:
        known = _known(connection, list(files))
        needed = _needed(connection)
    for sha256, path in files.items():
        with storing(path):
            is_old = path.exists() and time.time() - path.stat().st_mtime > UPLOAD_S
        if sha256 not in known and is_old:
            yield DatabaseFinding(
                "orphaned program file",
                path.name,
                "the database knows no such program, so no measurement needs the file",
                f"remove it: rm '{path}'",
            )
    for sha256, users in needed.items():
        if sha256 not in files:
            yield DatabaseFinding(
                "missing program file",
                f"program {sha256}",
                f"the lab's folder no longer has its bytes, for {', '.join(sorted(users))}",
                _remedy(users),
            )
    yield Progress(STEP, 1, 1)


def _known(connection: Connection, names: list[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(names), _PAGE):
        page = programs.c.sha256.in_(names[start : start + _PAGE])
        known.update(connection.scalars(select(programs.c.sha256).where(page)))
    return known


def _needed(connection: Connection) -> dict[str, set[str]]:
    """Return, by SHA-256, what each program is kept for."""
    needed: dict[str, set[str]] = {}
    open_jobs = select(jobs.c.program_sha256).where(jobs.c.ended_unix_ns.is_(None)).distinct()
    for sha256 in connection.scalars(open_jobs):
        needed.setdefault(sha256, set()).add("open jobs")
    for sha256 in connection.scalars(select(sentinels.c.program_sha256).distinct()):
        needed.setdefault(sha256, set()).add("the sentinel")
    for row in connection.execute(select(baselines.c.name, baselines.c.program_sha256)):
        needed.setdefault(row.program_sha256, set()).add(f"the baseline {row.name!r}")
    return needed


def _remedy(users: set[str]) -> str:
    remedies = []
    if "the sentinel" in users:
        remedies.append("`latlab lab up` uploads it again")
    if "open jobs" in users:
        remedies.append("measure the network again, which uploads it; without it the jobs fail")
    remedies += [
        f"`latlab baselines set {user.split(maxsplit=2)[2]} NETWORK`"
        for user in sorted(users)
        if user.startswith("the baseline")
    ]
    return "; ".join(remedies)
