from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latlab.domain.precision import Precision
from search.report.comparison.groups import described, group_studies
from search.space.deployment import Deployment
from search.study.document import settings_from_document
from search.study.settings import (
    HardReward,
    ProxyBudget,
    SearchTarget,
    SoftReward,
    StrategyName,
    StudyError,
    StudySettings,
    TrainingSource,
)
from search.study.study import Study
from tests.search.fakes import TARGET_ID, TARGET_NS, settings


def study(name: str, **changes: object) -> Study:
    return Study(Path(name), settings(**changes), [])


several = st.lists(
    st.builds(
        settings,
        strategy=st.sampled_from([StrategyName.PPO, StrategyName.RANDOM]),
        reward=st.sampled_from([SoftReward(), HardReward()]),
        round_size=st.integers(1, 2),
        seed=st.integers(0, 3),
        targets=st.sampled_from(
            [(SearchTarget(TARGET_ID, TARGET_NS + more),) for more in range(2)]
        ),
        accuracy=st.integers(0, 3).map(
            lambda seed: TrainingSource("digits", ProxyBudget(seed=seed))
        ),
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

    def but_seeds(settings: StudySettings) -> tuple[object, ...]:
        return settings.strategy, settings.reward, settings.round_size, settings.target_ns

    kinds = [{but_seeds(s.settings) for s in group.studies} for group in groups]
    assert all(len(kind) == 1 for kind in kinds)
    assert len(set.union(*kinds)) == len(groups)


def test_labels_tell_what_differs() -> None:
    groups = group_studies(
        [
            study("a", strategy=StrategyName.PPO),
            study("b", strategy=StrategyName.RANDOM, seed=1),
            study("c", strategy=StrategyName.PPO, seed=1),
            study("d", strategy=StrategyName.PPO, round_size=7),
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
        (
            {"targets": (SearchTarget("another", TARGET_NS),)},
            "cannot be compared, because their latencies",
        ),
        ({"accuracy": TrainingSource("moons")}, "accuracies .* moons"),
    ],
)
def test_what_does_not_compare_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        group_studies([study("a"), study("b", **change)])


def test_studies_of_two_precisions_compare_and_say_them() -> None:
    groups = group_studies(
        [study("a"), study("b", deployment=Deployment(precision=Precision.INT8))]
    )
    assert [group.label.rpartition(" classes")[2] for group in groups] == ["", " in int8"]
    with pytest.raises(StudyError, match="latencies"):
        group_studies([study("a"), study("b", deployment=Deployment(resolution=64))])


def test_every_setting_is_described() -> None:
    text = described(settings(reward=HardReward()))
    assert text["reward"] == "hard"
    assert text["target latency"] == "1 ms"
    assert text["accuracy: dataset"] == "digits"
    assert text["round size"] == "6"
    assert text["limits"] == text["warm start"] == "none"


def test_old_studies_compare_whatever_agreement_their_supernets_had() -> None:
    studies = []
    for seed, tau in enumerate((0.2, 0.3)):
        document = {
            "space": "small",
            "strategy": "random",
            "target_id": TARGET_ID,
            "target_ns": TARGET_NS,
            "accuracy": {"dataset": "digits", "seed": seed, "agreement_kendall": tau},
            "seed": seed,
        }
        studies.append(Study(Path(str(seed)), settings_from_document(document), []))
    [group] = group_studies(studies)
    assert len(group.studies) == 2
    assert not any("agreement" in label for label in group.settings)
