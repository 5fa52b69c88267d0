"""A PostgreSQL server of its own, for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server on a socket in a temporary folder, and yield the address of its database."""
    initdb = find_postgresql("initdb")
    assert initdb is not None, "PostgreSQL is not installed: apt install postgresql"
    # A socket's path has at most about 100 bytes, pytest's folders are longer.
    with tempfile.TemporaryDirectory(prefix="latlab-pg-") as folder:
        # PostgreSQL refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        data, pg_ctl = f"{folder}/data", str(initdb.with_name("pg_ctl"))

        def run(*command: str) -> None:
            subprocess.run(
                [*as_user, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60
            )

        run(str(initdb), "-D", data, "-A", "trust", "-U", "latlab", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(pg_ctl, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://latlab@/postgres?host={folder}"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")


def find_postgresql(program: str) -> Path | None:
    """Return the newest program of this name that is installed; None without one."""
    candidates = [*Path("/usr/lib/postgresql").glob(f"*/bin/{program}")]
    found = shutil.which(program)
    return max(candidates) if candidates else Path(found) if found else None


def empty(url: str) -> None:
    """Remove all tables of a database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
