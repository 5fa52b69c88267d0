"""Programs and specs that fail are not their device's fault."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from tests.host.board_lab import StartBoard
from tests.host.failing_campaigns import BAD_SPECS, failing_campaigns
from tests.host.jobs.job_ends import ends_of_jobs

CAMPAIGNS = 6


@pytest.mark.timeout(180)
def test_what_fails_on_a_good_device_does_not_quarantine_it(
    start_board: StartBoard, tmp_path: Path
) -> None:
    """`make bench-faults` does it 200 times."""
    with failing_campaigns(start_board(), tmp_path, seed=1) as campaigns:
        for where, fields in BAD_SPECS:
            assert campaigns.refusal(where, fields) is grpc.StatusCode.INVALID_ARGUMENT, fields
        assert ends_of_jobs(campaigns.home) == {}
        for _ in range(CAMPAIGNS):
            campaigns.run()
        assert campaigns.wrong == []
        assert campaigns.quarantines() == 0
    assert set(ends_of_jobs(campaigns.home).values()) == {1}
