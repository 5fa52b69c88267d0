"""service.predict_*: predictions over the lab's API, with TLS and a token of a client's own.

python -m tests.bench.bench_service

The lab holds a million measurements: a hundred thousand networks, ten times each. It runs in a
process of its own, without devices. The database takes 3 GB in the folder for temporary files.
QUICK=1 stores 20,000 measurements, and asks less often.

service.predict_p50_ms, _p99_ms          one network of about 100 kernels at a time
service.predict_networks_per_s           batches of 1,000 fresh random architectures, whose kernels
                                         are extracted within the time
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from host.daemon import serve
from host.database.engine import Database
from host.home.listening import choose_address
from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.domain.access.token import Scope
from search.space.kernels import kernels
from tests.bench.bench_predict_speed import BATCH, BATCHES, fresh_networks
from tests.bench.bench_scale import process
from tests.bench.figures import at_least, at_most, quick, report
from tests.bench.large_database import TARGET, ManyNetworks, measure_networks, write_networks
from tests.device_agent.agent_process import wait_until

SEED = 20_266
NETWORKS, TIMES = quick(100_000, 2_000), 10
ONES = quick(2_000, 100)
SINCE_UNIX_NS = 1_000_000_000 * 10**9


def main() -> None:
    if sys.argv[1:2] == ["daemon"]:
        serve(LabHome(Path(sys.argv[2])), [])
        return
    fresh = fresh_networks()
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder, lab(Path(folder)) as client:
        client.predict(TARGET.id, [kernels(next(fresh))])  # fits the predictor, which is not timed
        ones_ms, lengths = [], []
        for _ in range(ONES):
            network = kernels(next(fresh))
            lengths.append(len(network))
            start_s = time.perf_counter()
            client.predict(TARGET.id, [network])
            ones_ms.append(1e3 * (time.perf_counter() - start_s))
        rates = []
        for _ in range(BATCHES):
            batch = [next(fresh) for _ in range(BATCH)]
            start_s = time.perf_counter()
            client.predict(TARGET.id, list(map(kernels, batch)))
            rates.append(BATCH / (time.perf_counter() - start_s))
    stored = {"measurements": NETWORKS * TIMES, "seed": SEED}
    asked = {**stored, "calls": ONES, "kernels": round(statistics.mean(lengths))}
    p50_ms, p99_ms = (round(float(np.quantile(ones_ms, level)), 3) for level in (0.5, 0.99))
    report("service.predict_p50_ms", p50_ms, "ms", at_most(1.5), **asked)
    report("service.predict_p99_ms", p99_ms, "ms", at_most(5), **asked)
    report(
        "service.predict_networks_per_s",
        round(statistics.median(rates)),
        "networks/s",
        at_least(20_000),
        **stored,
        slowest=round(min(rates)),
        fastest=round(max(rates)),
        networks_a_call=BATCH,
        calls=BATCHES,
    )


@contextmanager
def lab(folder: Path) -> Iterator[LatencyClient]:
    """Serve the stored measurements, and yield a client that may predict and nothing else."""
    home = LabHome(folder / "home")
    home.create()
    database, networks = Database(home.database_url), ManyNetworks(NETWORKS, SEED)
    write_networks(database, networks)
    measure_networks(database, networks, range(NETWORKS), TIMES, SINCE_UNIX_NS)
    database.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    choose_address(home, address)
    with process("tests.bench.bench_service", "daemon", str(home.root)) as daemon:
        running = LockedProcess(home.daemon_file, home.lock_file)
        wait_until(lambda: running.serves_as(daemon.pid))
        with LatencyClient.connect(home.root) as own:
            _, secret = own.access.create_token("benchmark", [Scope.PREDICT])
        with LatencyClient(address, secret, home.certificate_file.read_text()) as client:
            yield client


if __name__ == "__main__":
    main()
