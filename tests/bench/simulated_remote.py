"""A lab with one device that behaves like a remote one.

It is a real agent, reached over real gRPC, whose runner is a timer. So the lab's machine is free
while the device "measures".

python -m tests.bench.simulated_remote

LATLAB_HOME must be set. It ends on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.daemon import serve
from host.devices.transports.local import LocalTransport
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.errors import LabError, Unavailable

START_TIMEOUT_S = 60.0

# It takes as long as a visit to a device: 10 ms a run until the floors are met. Visits differ by
# 3 %, as on a real device. If they never differed, a measurement would end too soon.
TIMER = """\
#!{python} -IS
import json, random, sys, time
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "--version" in sys.argv:
    print(json.dumps(dict(runtime_version="timer", backends=["xnnpack"])))
    sys.exit()
warmup_ns, timed_ns = int(arguments["--warmup-ns"]), int(arguments["--timed-ns"])
time.sleep((warmup_ns + timed_ns) / 1e9)
runs = timed_ns // 10_000_000
run_ns = int(10_000_000 * (1 + random.expovariate(1 / 0.03)))
probes = dict(arithmetic_ns=5_000_000, memory_ns=5_000_000)
print(json.dumps(dict(
    wall_ns=[run_ns] * runs, cpu_ns=[run_ns] * runs, involuntary_switches=[0] * runs,
    warmup_runs=warmup_ns // 10_000_000, load_ns=1_000_000, peak_rss_bytes=1 << 24, kernels=[],
    probes_before=probes, probes_after=probes)))
"""


class SimulatedRemote(LocalTransport):
    name = "simulated remote"
    shares_host = False


@contextmanager
def simulated_remote_lab(home: LabHome) -> Iterator[LatencyClient]:
    daemon = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.simulated_remote"],
        env={**os.environ, "LATLAB_HOME": str(home.root)},
    )
    try:
        with _connected(home) as client:
            yield client
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=30)


def _connected(home: LabHome) -> LatencyClient:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            client = LatencyClient.connect(home.root)
            client.default_target()
        except LabError as error:
            if time.monotonic() > deadline_s:
                raise Unavailable("the simulated lab did not start") from error
            time.sleep(0.1)
        else:
            return client


def _write_timer(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TIMER.format(python=sys.executable))
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    lab_home = LabHome.from_environment()
    serve(lab_home, [SimulatedRemote(lab_home.agent, _write_timer(lab_home.root / "timer"))])
