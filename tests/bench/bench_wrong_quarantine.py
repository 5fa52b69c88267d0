"""faults.devices_wrongly_quarantined: campaigns of crashing, malformed and refused programs and
specs, on a board that is well.

A real daemon and a real agent, with a stand-in for the runner that does what each program says.
The programs crash, print garbage or impossible numbers, or exceed the agent's limits. Some specs
let no program end in time, and others are refused by the daemon. One program in five is good, and
must be measured. QUICK=1 does a tenth.

python -m tests.bench.bench_wrong_quarantine
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.figures import exactly, quick, report
from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.conftest import write_stand_in
from tests.host.failing_campaigns import failing_campaigns

CAMPAIGNS = 200
SEED = 16


def main() -> None:
    count, start_s = quick(CAMPAIGNS), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--listen", "127.0.0.1:0")
        board = AgentProcess(folder / "board", write_stand_in(folder), options)
        try:
            with failing_campaigns(board, folder, SEED) as campaigns:
                campaigns.pin_sentinel()
                for _ in range(count):
                    campaigns.run()
                quarantines = campaigns.quarantines()
        finally:
            board.end()
    report(
        "faults.devices_wrongly_quarantined",
        quarantines,
        "quarantines",
        exactly(0),
        campaigns=count,
        outcomes=dict(campaigns.outcomes.most_common()),
        wrong_outcomes=len(campaigns.wrong),
        took_s=round(time.monotonic() - start_s),
        seed=SEED,
    )


if __name__ == "__main__":
    main()
