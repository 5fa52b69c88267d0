from __future__ import annotations

from dataclasses import replace

import pytest

from latlab.domain.device import CoreClass, Device
from latlab.domain.errors import InvalidRequest, NotFound, Unavailable
from latlab.domain.target import Target, TargetStatus, build_before, find_target, targets_of

OLD = Target("Board", "os 1", "rt", "rb", "xnnpack", 1, "big")
NEW = replace(OLD, os_build="os 2")
OTHER = replace(OLD, threads=4)


def test_a_device_serves_one_thread_and_all_of_each_core_class() -> None:
    classes = (CoreClass("big", (4, 5)), CoreClass("little", (0,)))
    device = Device("s", "Board", "soc", "os", "abi", "rt", "rb", ("xnnpack",), classes, 1, 1)
    assert [(t.core_class, t.threads) for t in targets_of(device)] == [
        ("big", 1),
        ("big", 2),
        ("little", 1),
    ]


def test_of_a_device_s_core_classes_those_count_that_are_chosen() -> None:
    classes = (CoreClass("big", (4, 5)), CoreClass("little", (0,)))
    device = Device("s", "Board", "soc", "os", "abi", "rt", "rb", ("xnnpack",), classes, 1, 1)
    assert {t.core_class for t in targets_of(device, ("big", "prime"))} == {"big"}
    with pytest.raises(Unavailable, match="prime; it has: big, little"):
        targets_of(device, ("prime",))


def test_a_name_means_the_build_that_a_device_serves_now() -> None:
    assert OLD.name == NEW.name
    assert find_target(OLD.name, [NEW], [OLD, NEW, OTHER]) == NEW
    assert find_target(OLD.id, [NEW], [OLD, NEW, OTHER]) == OLD
    assert find_target(OTHER.name, [NEW], [OLD, NEW, OTHER]) == OTHER


def test_an_ambiguous_name_asks_for_an_id_and_an_unknown_one_lists_the_known() -> None:
    with pytest.raises(InvalidRequest, match=NEW.id):
        find_target(OLD.name, [], [OLD, NEW])
    with pytest.raises(NotFound, match=OLD.name):
        find_target("nowhere", [OLD], [OLD])
    with pytest.raises(NotFound, match="none yet"):
        find_target("nowhere", [], [])


def test_the_build_before_differs_in_software_alone_and_is_the_most_measured() -> None:
    def status(target: Target, measurements: int) -> TargetStatus:
        return TargetStatus(target, 1, measurements, 0, shares_host=False)

    older = replace(OLD, runner_build="rb 0")
    statuses = [status(NEW, 50), status(older, 5), status(OLD, 20), status(OTHER, 90)]
    found = build_before(NEW, statuses)
    assert found is not None
    assert found.target == OLD
    assert build_before(OTHER, statuses) is None
    assert build_before(NEW, [status(NEW, 9), status(OLD, 0)]) is None
