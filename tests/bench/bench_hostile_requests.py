"""faults.hostile_failures: hostile requests that were not answered as they should be.

They go to every RPC of a daemon and of a board's agent: whole messages with odd values that
hypothesis makes, and valid ones with some changed bytes, with the token and with wrong ones. It
counts as a failure if a request is answered with a wrong status or with text of an internal error,
if a refused one stores something, if a file appears outside the stores, or if the server ends.

python -m tests.bench.bench_hostile_requests [REQUESTS]: by default 100,000, and a tenth with
QUICK=1. Two in three go to the daemon, which has more RPCs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.figures import exactly, quick, report
from tests.device_agent.conftest import write_stand_in
from tests.hostile_requests import attack
from tests.hostile_targets import agent_target, daemon_target, strange_files

REQUESTS = 100_000
SEED = 20264
SHOWN = 20


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else quick(REQUESTS)
    start_s = time.monotonic()
    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runner = write_stand_in(folder)
        for place in ("daemon", "agent"):
            (folder / place).mkdir()
        with daemon_target(folder / "daemon") as target:
            wrong = attack(target, requests - requests // 3, SEED)
            statuses += target.statuses
        with agent_target(folder / "agent", runner) as target:
            wrong += attack(target, requests // 3, SEED)
            statuses += target.statuses
        wrong += [f"a file outside the store: {path}" for path in strange_files(folder / "agent")]
    for each in wrong[:SHOWN]:
        print(each, file=sys.stderr)
    report(
        "faults.hostile_failures",
        len(wrong),
        "requests",
        exactly(0),
        requests=requests,
        statuses=dict(statuses.most_common()),
        took_s=round(time.monotonic() - start_s),
        seed=SEED,
    )


if __name__ == "__main__":
    main()
