"""Programs and specs that fail are not their device's fault."""

from __future__ import annotations

from pathlib import Path

import grpc

from tests.host.board_lab import SPEC, StartBoard
from tests.host.failing_campaigns import BAD_SPECS, TOO_SHORT, failing_campaigns
from tests.host.jobs.job_ends import ends_of_jobs


def test_what_fails_on_a_good_device_does_not_quarantine_it(
    start_board: StartBoard, tmp_path: Path
) -> None:
    """`make bench-faults` does it 200 times."""
    with failing_campaigns(start_board(), tmp_path, seed=1) as campaigns:
        for where, fields in BAD_SPECS:
            assert campaigns.refusal(where, fields) is grpc.StatusCode.INVALID_ARGUMENT, fields
        assert ends_of_jobs(campaigns.home) == {}
        campaigns.measure(["crashing"] * 3 + ["malformed", "refused", "good"], SPEC)
        campaigns.measure(["good"] * 3, TOO_SHORT)
        assert campaigns.wrong == []
        assert campaigns.outcomes["measured"] == 1
        assert campaigns.quarantines() == 0
    assert set(ends_of_jobs(campaigns.home).values()) == {1}
