from __future__ import annotations

import pytest

from host.jobs.wait_reasons import QueuePosition, ServingDevice, waits_for

FREE, DRAINED = ServingDevice("a", ""), ServingDevice("b", "drained")
COOLING = ServingDevice("c", "cooling down")
WAITING = QueuePosition(is_taken=False, awaited_from="", rests=False, is_paused=False, ahead=0)


@pytest.mark.parametrize(
    ("position", "serving", "expected"),
    [
        (WAITING, [FREE, DRAINED], "next in turn"),
        (WAITING, [], "no connected device serves its target"),
        (WAITING, [DRAINED], "b: drained"),
        (WAITING, [DRAINED, COOLING], "b: drained; c: cooling down"),
        (QueuePosition(False, "", False, False, 7), [FREE], "behind 7 others"),
        (QueuePosition(False, "", True, False, 7), [FREE], "its next visit: it rests between two"),
        (QueuePosition(False, "s", False, False, 0), [], "the answer of s"),
        (QueuePosition(True, "s", False, False, 0), [FREE], "its visit, under way"),
        (
            QueuePosition(True, "", False, False, 0),
            [COOLING],
            "its visit; c: cooling down",
        ),
    ],
)
def test_the_reason_names_what_holds_the_job_up(
    position: QueuePosition, serving: list[ServingDevice], expected: str
) -> None:
    assert waits_for(position, serving) == expected
