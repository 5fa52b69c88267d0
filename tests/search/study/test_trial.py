from __future__ import annotations

import pytest

from search.space.architecture import Architecture
from search.study.trial import MAX_DISTURBED, Trial, has_failed, without_undue_reward
from tests.search.fakes import estimate

NETWORK = Architecture(8, (), 8)


def trial(
    failure: str | None, reward: float | None, disturbed: int = 0, accuracy: float | None = 0.5
) -> Trial:
    return Trial(NETWORK, 0, accuracy, estimate(1000), reward, failure=failure, disturbed=disturbed)


@pytest.mark.parametrize(
    "failed",
    [
        trial("it crashed", None),
        trial("it crashed", None, MAX_DISTURBED),
        trial("it crashed, in a study of an older version", 0.5),
        trial("no accuracy", None, accuracy=None),
    ],
)
def test_a_failure_of_the_networks_own_earns_nothing(failed: Trial) -> None:
    assert has_failed(failed)
    assert without_undue_reward(failed).reward is None


@pytest.mark.parametrize(
    "sound", [trial(None, 0.5), trial(None, 0.5, 1), trial("disturbed", 0.5, MAX_DISTURBED)]
)
def test_what_was_disturbed_or_did_not_fail_keeps_its_reward(sound: Trial) -> None:
    assert not has_failed(sound)
    assert without_undue_reward(sound) is sound
