"""db.lookup_p99_ms_*: a stored measurement by its program and target, among a million rows.

python -m tests.bench.bench_database_lookup

A hundred thousand networks were measured ten times each. The lookup is the one with which the lab
answers a request again: the newest measurement of a program that may be trusted, with its summary
and its visits. The databases take 3 GB each in the folder for temporary files. QUICK=1 looks among
20,000 rows. Without PostgreSQL only SQLite is measured.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import text

from host.database.devices import measurement_counts
from host.database.engine import Database
from host.database.jobs import spec_from_text
from host.database.measurements import find_measurement
from host.home.paths import sqlite_url
from tests.bench.figures import IS_QUICK, at_most, report
from tests.bench.large_database import (
    SPEC_TEXT,
    TARGET,
    ManyNetworks,
    measure_networks,
    write_networks,
)
from tests.host.postgresql import find_postgresql, postgresql

SEED = 20_264
NETWORKS, TIMES = (2_000, 10) if IS_QUICK else (100_000, 10)
LOOKUPS = 2_000
COUNTS = 5
SINCE_UNIX_NS = 1_000_000_000 * 10**9


def main() -> None:
    networks = ManyNetworks(NETWORKS, SEED)
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder:
        look_up("sqlite", sqlite_url(Path(folder) / "lab.db"), networks)
    if find_postgresql("initdb") is None:
        print("PostgreSQL is not installed, so it is left out", file=sys.stderr)
        return
    with postgresql() as url:
        look_up("postgresql", url, networks)


def look_up(kind: str, url: str, networks: ManyNetworks) -> None:
    """Fill a database, look measurements up at random, and report how long that took."""
    database = Database(url)
    write_networks(database, networks)
    measure_networks(database, networks, range(NETWORKS), TIMES, SINCE_UNIX_NS)
    if kind == "postgresql":  # as its autovacuum does on a lab that runs
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.execute(text("VACUUM ANALYZE"))
    rng = np.random.default_rng(SEED)
    spec = spec_from_text(SPEC_TEXT)
    lookups_ms = []
    for number in rng.integers(NETWORKS, size=LOOKUPS):
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        start_s = time.perf_counter()
        with database.reading() as connection:
            found = find_measurement(connection, TARGET.id, sha256, spec)
        lookups_ms.append(1e3 * (time.perf_counter() - start_s))
        assert found is not None
    conditions = {"rows": NETWORKS * TIMES, "lookups": LOOKUPS, "seed": SEED}
    p99_ms = float(np.quantile(lookups_ms, 0.99))
    median_ms = round(float(np.median(lookups_ms)), 2)
    report(
        f"db.lookup_p99_ms_{kind}",
        round(p99_ms, 2),
        "ms",
        at_most(10),
        median_ms=median_ms,
        **conditions,
    )
    counts_ms = []
    for _ in range(COUNTS):
        start_s = time.perf_counter()
        with database.reading() as connection:
            counts = measurement_counts(connection)
        counts_ms.append(1e3 * (time.perf_counter() - start_s))
        assert counts == {TARGET.id: NETWORKS * TIMES}
    report(f"db.counts_ms_{kind}", round(float(np.median(counts_ms)), 1), "ms", None, **conditions)
    database.close()


if __name__ == "__main__":
    main()
