"""scale.*: refits of a hundred thousand networks, each measured ten times, while predictions go on.

python -m tests.bench.bench_scale_refit

A daemon without devices serves a database of random networks on a simulated machine. Its predictor
is fitted for the first time, then again after new networks were measured. One network at a time is
predicted during the refit. The database takes 3 GB in the folder for temporary files. QUICK=1
measures 2,000 networks three times.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from host.database.engine import Database
from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.domain.kernel import Kernel
from tests.bench.figures import IS_QUICK, at_most, report
from tests.bench.large_database import (
    MINUTE_NS,
    TARGET,
    ManyNetworks,
    measure_networks,
    write_networks,
)
from tests.host.board_lab import running_lab

SEED = 20_263
NETWORKS, TIMES = (2_000, 3) if IS_QUICK else (100_000, 10)
NEW_NETWORKS = 100
PREDICTED = 200  # networks, again and again
PAUSE_S = 0.02
SINCE_UNIX_NS = 1_000_000_000 * 10**9
REFIT_MODULE = b"host.predicting.refit_process"

Network = tuple[Kernel, ...]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder:
        home = LabHome(Path(folder))
        home.create()
        start_s = time.monotonic()
        networks = ManyNetworks(NETWORKS + NEW_NETWORKS, SEED)
        database = Database(home.database_url)
        write_networks(database, networks)
        measure_networks(database, networks, range(NETWORKS), TIMES, SINCE_UNIX_NS)
        print(f"the database took {time.monotonic() - start_s:.0f} s", file=sys.stderr)
        with running_lab(home) as client:
            refit(home, client, database, networks)
        database.close()


def refit(home: LabHome, client: LatencyClient, database: Database, networks: ManyNetworks) -> None:
    """Fit twice, and report how long it took and what it needed."""
    predicted = [networks.kernels(number) for number in range(PREDICTED)]
    start_s = time.monotonic()
    client.predict(TARGET.id, predicted[:1])
    first_s = time.monotonic() - start_s
    quiet_ms = [predict_ms(client, [network]) for network in predicted]

    new = range(NETWORKS, NETWORKS + NEW_NETWORKS)
    later_unix_ns = SINCE_UNIX_NS + NETWORKS * TIMES * MINUTE_NS
    measure_networks(database, networks, new, TIMES, later_unix_ns)
    with ThreadPoolExecutor(1) as pool:
        start_s = time.monotonic()
        ended = pool.submit(timed_refit, client, start_s)
        during_ms = predict_until(ended, client, predicted)
        learned, refit_s = ended.result()
    status = client.target_status(TARGET)
    daemon_mb, refit_mb = peaks_mb(home)
    conditions = {
        "networks": NETWORKS + NEW_NETWORKS,
        "measurements": status.measurements,
        "learned_from": learned,
        "database_mb": round((home.root / "lab.db").stat().st_size / 1e6),
        "seed": SEED,
    }
    report(
        "scale.refit_100k_s",
        round(refit_s, 1),
        "s",
        at_most(60),
        first_fit_s=round(first_s, 1),
        **conditions,
    )
    report(
        "scale.refit_100k_mb",
        round(max(daemon_mb, refit_mb)),
        "MiB",
        at_most(1_024),
        daemon_mb=round(daemon_mb),
        refit_process_mb=round(refit_mb),
        **conditions,
    )
    report(
        "scale.predict_p99_ms_during",
        round(float(np.quantile(during_ms, 0.99)), 1),
        "ms",
        at_most(20),
        median_ms=round(float(np.median(during_ms)), 1),
        worst_ms=round(max(during_ms), 1),
        calls=len(during_ms),
        before_p99_ms=round(float(np.quantile(quiet_ms, 0.99)), 1),
        **conditions,
    )


def timed_refit(client: LatencyClient, start_s: float) -> tuple[int, float]:
    """Refit, and return how many measurements it learned from and how long it took."""
    learned, _ = client.refit(TARGET.id)
    return learned, time.monotonic() - start_s


def predict_until(
    ended: Future[tuple[int, float]], client: LatencyClient, networks: list[Network]
) -> list[float]:
    """Predict one network after the other, and return how long each took in ms."""
    taken_ms: list[float] = []
    while not ended.done():
        network = networks[len(taken_ms) % len(networks)]
        taken_ms.append(predict_ms(client, [network]))
        time.sleep(PAUSE_S)
    return taken_ms


def predict_ms(client: LatencyClient, networks: list[Network]) -> float:
    start_s = time.perf_counter()
    client.predict(TARGET.id, networks)
    return 1e3 * (time.perf_counter() - start_s)


def peaks_mb(home: LabHome) -> tuple[float, float]:
    """Return the largest memory that the daemon and its refit process have ever used, in MiB."""
    info = LockedProcess(home.daemon_file, home.lock_file).info()
    assert info is not None
    daemon = int(info["pid"])
    [refitting] = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if parent(process) == daemon and REFIT_MODULE in (process / "cmdline").read_bytes()
    ]
    return peak_mb(daemon), peak_mb(refitting)


def parent(process: Path) -> int:
    """Return the process's parent; 0 if it has ended."""
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} does not say how much memory it used")


if __name__ == "__main__":
    main()
