from __future__ import annotations

import pytest

from host.jobs.wait_reasons import QueuePosition, ServingDevice, wait_reason, waits_for
from latlab.domain.job import WaitReason

FREE, DRAINED = ServingDevice("a", ""), ServingDevice("b", "drained")
COOLING = ServingDevice("c", "cooling down")
WAITING = QueuePosition(is_taken=False, awaited_from="", rests=False, is_paused=False, ahead=0)


@pytest.mark.parametrize(
    ("position", "serving", "expected", "reason"),
    [
        (WAITING, [FREE, DRAINED], "next in turn", WaitReason.NEXT),
        (WAITING, [], "no connected device serves its target", WaitReason.NO_DEVICE),
        (WAITING, [DRAINED], "b: drained", WaitReason.DEVICE_NOT_READY),
        (
            WAITING,
            [DRAINED, COOLING],
            "b: drained; c: cooling down",
            WaitReason.DEVICE_NOT_READY,
        ),
        (
            QueuePosition(False, "", False, False, 7),
            [FREE],
            "behind 7 others",
            WaitReason.BEHIND_OTHERS,
        ),
        (
            QueuePosition(False, "", True, False, 7),
            [FREE],
            "its next visit: it rests between two",
            WaitReason.RESTS,
        ),
        (QueuePosition(False, "s", False, False, 0), [], "the answer of s", WaitReason.ANSWER),
        (
            QueuePosition(False, "", False, True, 0),
            [FREE],
            "somebody to measure it again: it is paused",
            WaitReason.PAUSED,
        ),
        (QueuePosition(True, "s", False, False, 0), [FREE], "its visit, under way", None),
        (
            QueuePosition(True, "", False, False, 0),
            [COOLING],
            "its visit; c: cooling down",
            WaitReason.DEVICE_NOT_READY,
        ),
        (
            QueuePosition(True, "s", False, False, 0),
            [DRAINED],
            "its visit; b: drained",
            None,
        ),
    ],
)
def test_the_reason_names_what_holds_the_job_up(
    position: QueuePosition,
    serving: list[ServingDevice],
    expected: str,
    reason: WaitReason | None,
) -> None:
    assert waits_for(position, serving) == expected
    assert wait_reason(position, serving) is reason
