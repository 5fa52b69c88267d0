from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from search.report.comparison.groups import described, group_studies, reward_name
from search.study.reward import ABSOLUTE_BETA, HARD, SOFT
from search.study.settings import StudyError, StudySettings
from search.study.study import Study
from tests.search.fakes import settings


def study(name: str, **changes: object) -> Study:
    return Study(Path(name), settings(**changes), [])


ACCURACY = {"dataset": "digits", "epochs": 2}

several = st.lists(
    st.builds(
        settings,
        strategy=st.sampled_from(["ppo", "random"]),
        beta=st.sampled_from([-0.07, -1.0]),
        round_size=st.integers(1, 2),
        seed=st.integers(0, 3),
        target_ns=st.sampled_from([1_000_000, 1_000_001]),
        accuracy=st.integers(0, 3).map(lambda seed: {**ACCURACY, "seed": seed}),
    ),
    min_size=1,
    max_size=8,
)

unhurried = hypothesis_settings(deadline=None)


@unhurried
@given(several)
def test_a_group_shares_all_but_its_seeds(chosen: list[StudySettings]) -> None:
    studies = [Study(Path(str(i)), each, []) for i, each in enumerate(chosen)]
    groups = group_studies(studies)
    assert sorted(s.directory for g in groups for s in g.studies) == sorted(
        s.directory for s in studies
    )

    def but_seeds(of: StudySettings) -> tuple[object, ...]:
        return of.strategy, of.beta, of.round_size, of.target_ns

    kinds = [{but_seeds(s.settings) for s in group.studies} for group in groups]
    assert all(len(kind) == 1 for kind in kinds)
    assert len(set.union(*kinds)) == len(groups)


def test_labels_tell_what_differs() -> None:
    groups = group_studies(
        [
            study("a", strategy="ppo"),
            study("b", strategy="random", seed=1),
            study("c", strategy="ppo", seed=1),
            study("d", strategy="ppo", round_size=7),
        ]
    )
    assert [g.label for g in groups] == [
        "ppo, round size 6",
        "random, round size 6",
        "ppo, round size 7",
    ]
    assert [len(g.studies) for g in groups] == [2, 1, 1]


def test_one_group_is_labelled_too() -> None:
    [group] = group_studies([study("a"), study("b", seed=1)])
    assert group.label == "random, soft"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_id": "another"}, "a and b do not compare: their latencies"),
        ({"accuracy": {"dataset": "moons"}}, "accuracies .* moons"),
    ],
)
def test_what_does_not_compare_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        group_studies([study("a"), study("b", **change)])


def test_every_setting_is_described() -> None:
    text = described(settings(alpha=0.0, beta=-1.0))
    assert text["reward"] == "hard"
    assert text["target latency"] == "1 ms"
    assert text["accuracy: dataset"] == "digits"
    assert text["round size"] == "6"
    assert text["limits"] == text["warm start"] == "none"


@pytest.mark.parametrize(
    ("exponents", "absolute", "name"),
    [
        (SOFT, False, "soft"),
        (HARD, False, "hard"),
        ((0.0, ABSOLUTE_BETA), True, "absolute"),
        ((0.0, -0.5), True, "absolute β = -0.5"),
        ((0.1, -0.5), False, "α = 0.1, β = -0.5"),
    ],
)
def test_rewards_have_names(exponents: tuple[float, float], absolute: bool, name: str) -> None:
    assert reward_name(*exponents, absolute=absolute) == name


def test_old_studies_compare_whatever_agreement_their_supernets_had() -> None:
    studies = [
        study(str(seed), seed=seed, accuracy={**ACCURACY, "seed": seed, "agreement_kendall": tau})
        for seed, tau in enumerate((0.2, 0.3))
    ]
    [group] = group_studies(studies)
    assert len(group.studies) == 2
    assert not any("agreement" in label for label in group.settings)
