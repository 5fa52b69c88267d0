"""An agent that writes down what it keeps and forgets: python -m tests.faults.recording_agent

It takes the agent's arguments. The file that LATLAB_LEDGER names gets a line for each result that
is on the agent's disk, and for each that the host has acknowledged. `tests.faults.losses` compares
these lines with the lab's database.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from device_agent import __main__ as agent
from device_agent.results import ResultStore
from latlab.v1.device_agent_pb2 import RunResponse
from tests.faults.ledger import NO_SAMPLES, Entry, digest, record

LEDGER = Path(os.environ["LATLAB_LEDGER"])


class RecordingStore(ResultStore):
    def put(self, run_id: str, response: RunResponse) -> None:
        super().put(run_id, response)
        record(LEDGER, Entry("kept", run_id, digest(response.visit.wall_ns)))

    def forget(self, run_ids: Iterable[str]) -> None:
        forgotten = list(run_ids)
        super().forget(forgotten)
        for run_id in forgotten:
            record(LEDGER, Entry("acknowledged", run_id, NO_SAMPLES))


if __name__ == "__main__":
    with patch("device_agent.servicer.ResultStore", RecordingStore):
        sys.exit(agent.main())
