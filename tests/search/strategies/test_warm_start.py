from __future__ import annotations

from pathlib import Path

import pytest

from search.space.space import accel_nas_bench_space, mnasnet_space
from search.space.zoo import ZOO
from search.strategies.warm_start import networks_to_start_with
from search.study.settings import StudyError
from search.study.study import open_study
from tests.search.fakes import estimate, settings, small_space, trial

SPACE = small_space()


def test_of_the_zoo_come_those_that_the_space_has(tmp_path: Path) -> None:
    networks, outside = networks_to_start_with("zoo", mnasnet_space(), tmp_path, 16)
    assert networks == [ZOO["mobilenet-v2"]]
    assert outside == ["mnasnet-a1", "mnasnet-b1", "mnasnet-small"]
    with pytest.raises(StudyError, match="no network of the zoo lies in the space accel-nas-bench"):
        networks_to_start_with("zoo", accel_nas_bench_space(), tmp_path, 16)


def test_of_a_study_come_the_best_by_reward(tmp_path: Path) -> None:
    networks = [SPACE.resolve((0, 0, 0, f, n) * 2) for f in (0, 1) for n in range(3)]
    rewards = [0.3, 0.9, None, 0.5, 0.1, 0.7]
    with open_study(tmp_path / "other", settings()) as study:
        study.append([trial(a, reward=r) for a, r in zip(networks, rewards, strict=True)])
        study.append([trial(networks[1], latency=estimate(10**7), reward=0.2)])
    best, outside = networks_to_start_with("other", SPACE, tmp_path, 3)
    assert best == [networks[5], networks[3], networks[0]]
    assert outside == []


def test_a_study_that_cannot_be_started_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        networks_to_start_with("other", SPACE, tmp_path, 3)
    with open_study(tmp_path / "other", settings()) as study:
        study.append([trial(SPACE.resolve((0,) * len(SPACE.decisions)), reward=None)])
    with pytest.raises(StudyError, match="no network of the study other has a reward"):
        networks_to_start_with("other", SPACE, tmp_path, 3)
    with pytest.raises(StudyError, match="searched the space small, not mnasnet"):
        networks_to_start_with("other", mnasnet_space(), tmp_path, 3)
