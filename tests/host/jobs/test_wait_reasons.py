from __future__ import annotations

import pytest

from host.jobs.wait_reasons import Place, Server, waits_for

FREE, DRAINED = Server("a", ""), Server("b", "drained")
WAITING = Place(is_taken=False, awaited_from="", rests=False, ahead=0)


@pytest.mark.parametrize(
    ("place", "servers", "expected"),
    [
        (WAITING, [FREE, DRAINED], "next in turn"),
        (WAITING, [], "no device is connected"),
        (WAITING, [DRAINED], "b: drained"),
        (WAITING, [DRAINED, Server("c", "cooling down")], "b: drained; c: cooling down"),
        (Place(False, "", False, 7), [FREE], "behind 7 others"),
        (Place(False, "", True, 7), [FREE], "its next visit: it rests between two"),
        (Place(False, "s", False, 0), [], "the answer of s"),
        (Place(True, "s", False, 0), [FREE], "its visit, under way"),
        (Place(True, "", False, 0), [Server("c", "cooling down")], "its visit; c: cooling down"),
    ],
)
def test_the_reason_names_what_holds_the_job_up(
    place: Place, servers: list[Server], expected: str
) -> None:
    assert waits_for(place, servers) == expected
