"""A study is one typed document; documents of version 0.1.0 describe the same studies."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.estimate import RawSamples
from latlab.domain.precision import Precision
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.zoo import ZOO
from search.study.document import (
    DocumentError,
    estimate_from_document,
    flat_settings,
    settings_from_document,
    settings_to_document,
    trial_from_document,
    trial_to_document,
)
from search.study.settings import (
    AbsoluteReward,
    AccuracySource,
    CommandSource,
    HardReward,
    Limits,
    OtherSource,
    PowerReward,
    PPOSettings,
    ProxyBudget,
    Reward,
    SearchTarget,
    SoftReward,
    StrategyName,
    StudySettings,
    SurrogateSettings,
    TableSource,
    TrainingSource,
)
from search.study.study import open_study
from search.study.trial import is_measured
from tests.search.fakes import estimate, settings, trial

ARCHIVE = Path(__file__).parents[2] / "old_lab/lab-0.1.0.tar.xz"

texts = st.text(max_size=8)
counts = st.integers(1, 10**9)
shares = st.floats(0, 1)
rewards = st.one_of(
    st.builds(SoftReward),
    st.builds(HardReward),
    st.builds(AbsoluteReward, st.floats(-9, -0.01)),
    st.builds(PowerReward, st.floats(-9, 9), st.floats(-9, 9)),
)
sources = st.one_of(
    st.builds(
        TrainingSource,
        texts,
        st.builds(ProxyBudget, train_images=counts, seed=st.integers(0, 9), limit_s=shares),
        st.booleans(),
    ),
    st.builds(TableSource, texts, texts, st.booleans(), texts),
    st.builds(CommandSource, texts, shares),
    st.builds(OtherSource, st.dictionaries(texts, st.none() | texts | st.booleans() | counts)),
)
weighted = st.lists(st.builds(SearchTarget, texts, counts, st.floats(0.1, 9)), min_size=2)
unweighted = st.lists(st.builds(SearchTarget, texts, counts), min_size=1)


def distinct(targets: list[SearchTarget]) -> tuple[SearchTarget, ...]:
    return tuple({target.id: target for target in targets}.values())


studies = st.builds(
    StudySettings,
    space=texts,
    strategy=st.sampled_from(StrategyName),
    targets=st.one_of(
        unweighted.map(distinct), weighted.map(distinct).filter(lambda each: len(each) > 1)
    ),
    accuracy=sources,
    reward=rewards,
    deployment=st.builds(Deployment, counts, counts, st.sampled_from(Precision)),
    round_size=counts,
    seed=st.integers(0, 2**32 - 1),
    limits=st.builds(Limits, *[st.none() | counts] * 3),
    warm_start=st.none() | texts,
    ppo=st.builds(PPOSettings, epochs=st.integers(1, 99)),
    surrogate=st.none() | st.builds(SurrogateSettings, st.integers(1, 99), st.integers(2, 99)),
)


@given(studies)
def test_what_is_written_is_read(made: StudySettings) -> None:
    document = json.loads(json.dumps(settings_to_document(made)))
    read = settings_from_document(document)
    assert read == made
    assert flat_settings(read) == flat_settings(made)


@given(studies, studies)
def test_flat_settings_tell_studies_apart(one: StudySettings, other: StudySettings) -> None:
    assert (one == other) == (flat_settings(one) == flat_settings(other))


def test_a_study_from_before_test_images_were_kept_goes_on_selecting_on_them() -> None:
    document = settings_to_document(settings(accuracy=TrainingSource("digits")))
    assert document["accuracy"].pop("keeps_test_images") is True
    earlier = settings_from_document(document).accuracy
    assert earlier == TrainingSource("digits", keeps_test_images=False)


def test_a_study_in_float32_is_written_as_before_there_were_precisions() -> None:
    document = settings_to_document(settings(deployment=Deployment(96, 10)))
    assert document["deployment"] == {"resolution": 96, "classes": 10}
    assert settings_from_document(document).deployment.precision is Precision.FP32


def test_only_a_study_of_separate_targets_says_so() -> None:
    made = settings()
    document = settings_to_document(made)
    assert "separate_targets" not in document
    assert settings_from_document(document) == made
    assert not made.separate_targets
    targets = (SearchTarget("a", 5), SearchTarget("b", 7))
    separate = settings(strategy=StrategyName.NSGA2, targets=targets, separate_targets=True)
    document = settings_to_document(separate)
    assert document["separate_targets"] is True
    assert settings_from_document(document) == separate


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"separate_targets": True}, "one target cannot be separated"),
        (
            {"separate_targets": True, "targets": (SearchTarget("a", 5), SearchTarget("b", 7))},
            "random has one objective",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**change)


def test_a_study_in_int8_says_so() -> None:
    document = settings_to_document(settings(deployment=Deployment(96, 10, Precision.INT8)))
    assert document["deployment"] == {"resolution": 96, "classes": 10, "precision": "int8"}
    document["deployment"]["precision"] = "int9"
    with pytest.raises(DocumentError, match=r"'int9'.*precision"):
        settings_from_document(document)


def test_a_study_from_before_there_were_surrogates_has_none() -> None:
    document = settings_to_document(settings(surrogate=None))
    del document["surrogate"]
    assert settings_from_document(document).surrogate is None


def test_a_surrogate_that_cannot_be_used_is_refused() -> None:
    document = settings_to_document(settings(surrogate=SurrogateSettings()))
    document["surrogate"]["draws"] = 0
    with pytest.raises(DocumentError, match="draws must be from 1 to 10,000, not 0"):
        settings_from_document(document)


def test_a_smoothed_accuracy_is_written_beside_the_trained_one() -> None:
    raw = trial(ZOO["mnasnet-a1"], 0.7)
    assert "trained_accuracy" not in trial_to_document(raw)
    smoothed = replace(raw, accuracy=0.6, trained_accuracy=0.7)
    document = trial_to_document(smoothed)
    assert (document["accuracy"], document["trained_accuracy"]) == (0.6, 0.7)
    assert trial_from_document(document) == smoothed


def test_the_time_limit_of_a_command_may_change() -> None:
    shorter, longer = (settings(accuracy=CommandSource("true", s)) for s in (5.0, 9.0))
    assert shorter == longer
    assert flat_settings(shorter) == flat_settings(longer)


OLD: dict[str, Any] = {
    "space": "mnasnet",
    "strategy": "ppo",
    "target_id": "a",
    "target_ns": 5,
    "accuracy": {"command": "true"},
    "alpha": -0.07,
    "beta": -0.07,
    "round_size": 16,
    "seed": 3,
    "absolute": False,
    "limits": {},
    "warm_start": None,
    "more_target_ids": [],
    "more_targets_ns": [],
    "weights": [],
    "ppo": {},
}
NOW = StudySettings(
    space="mnasnet",
    strategy=StrategyName.PPO,
    targets=(SearchTarget("a", 5),),
    accuracy=CommandSource("true"),
    round_size=16,
    seed=3,
)


def upgraded(**changes: object) -> StudySettings:
    return settings_from_document({**OLD, **changes})


def test_an_old_document_is_read() -> None:
    assert upgraded() == NOW
    assert upgraded().deployment == Deployment(224, 1000)
    several = upgraded(
        more_target_ids=["b"],
        more_targets_ns=[7],
        weights=[2.0, 1.0],
        limits={"parameters": 10**6},
        warm_start="zoo",
        ppo={"epochs": 4},
    )
    assert several.targets == (SearchTarget("a", 5, 2.0), SearchTarget("b", 7, 1.0))
    assert several.limits == Limits(parameters=10**6)
    assert several.warm_start == "zoo"
    assert several.ppo == PPOSettings(epochs=4)


@pytest.mark.parametrize(
    ("alpha", "beta", "absolute", "reward"),
    [
        (-0.07, -0.07, False, SoftReward()),
        (0.0, -1.0, False, HardReward()),
        (0.1, -0.5, False, PowerReward(0.1, -0.5)),
        (0.0, -0.07, True, AbsoluteReward()),
        (0.0, -0.5, True, AbsoluteReward(-0.5)),
    ],
)
def test_an_old_reward_is_read(alpha: float, beta: float, absolute: bool, reward: Reward) -> None:
    assert upgraded(alpha=alpha, beta=beta, absolute=absolute).reward == reward


BUDGET = {
    "train_images": 64,
    "val_images": 32,
    "resolution": 16,
    "epochs": 3,
    "width_multiplier": 0.5,
    "stem_stride": 2,
    "batch_size": 8,
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "seed": 1,
    "limit_s": 60.0,
}
EARLIER_BUDGET = ProxyBudget(resolution=32, distinct_networks=False)
TABLE = {"table": "anb.csv", "column": "top1", "fingerprint": "0123456789ab"}


@pytest.mark.parametrize(
    ("facts", "source"),
    [
        (
            {"dataset": "digits", **BUDGET},
            TrainingSource(
                "digits",
                ProxyBudget(**BUDGET, distinct_networks=False),  # type: ignore[arg-type]
                keeps_test_images=False,
            ),
        ),
        (
            {"dataset": "digits", "agreement_kendall": 0.3},
            TrainingSource("digits", EARLIER_BUDGET, keeps_test_images=False),
        ),
        (TABLE, TableSource("anb.csv", "top1", False, "0123456789ab")),
        (
            {**TABLE, "held_out_kendall": 0.9, "held_out_r2": 0.8},
            TableSource("anb.csv", "top1", True, "0123456789ab"),
        ),
        ({"command": "true"}, CommandSource("true")),
        (
            {"dataset": "digits", "supernet": "x"},
            OtherSource({"dataset": "digits", "supernet": "x"}),
        ),
        ({}, OtherSource()),
    ],
)
def test_an_old_accuracy_source_is_read(facts: dict[str, Any], source: AccuracySource) -> None:
    assert upgraded(accuracy=facts).accuracy == source


def test_a_study_from_before_networks_were_distinct_keeps_its_proxy_task() -> None:
    document = settings_to_document(settings(accuracy=TrainingSource("digits", EARLIER_BUDGET)))
    assert document["accuracy"]["budget"].pop("distinct_networks") is False
    assert settings_from_document(document).accuracy == TrainingSource("digits", EARLIER_BUDGET)


def test_a_new_study_trains_distinct_networks() -> None:
    made = settings(accuracy=TrainingSource("digits"))
    assert settings_from_document(settings_to_document(made)) == made
    assert isinstance(made.accuracy, TrainingSource)
    assert made.accuracy.budget.distinct_networks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_ns": "5"}, "'5' is not of type int"),
        ({"target_ns": True}, "True is not of type int"),
        ({"target_ns": 0}, "must be above zero"),
        ({"more_target_ids": ["b"]}, "zip"),
        ({"colour": 1}, "unknown fields: colour"),
        ({"limits": {"weight": 1}}, "unknown fields: 'weight'"),
        ({"accuracy": 5}, "AttributeError"),
        ({"strategy": "guess"}, "guess"),
        ({"version": 3}, "version 3 is unknown"),
    ],
)
def test_a_wrong_document_names_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        settings_from_document({**OLD, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": {"kind": "fair"}}, r"'fair' is missing or unknown @ \$\.reward"),
        ({"reward": {}}, r"'kind' is missing or unknown @ \$\.reward"),
        ({"reward": 1}, "an object is missing here"),
        ({"accuracy": {"kind": "table", "table": 1}}, "1 is not of type str"),
        ({"targets": [{"id": "a", "latency_ns": float("nan")}]}, "not of type int"),
        ({"ppo": {"epochs": 0}}, "PPO's epochs must be from 1"),
        ({"deployment": {"resolution": 2**63}}, r"not a finite number below 2\*\*63"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        settings_from_document({**settings_to_document(NOW), **change})


@pytest.mark.parametrize("document", [None, [], "x", 5, [[]]])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        settings_from_document(document)
    with pytest.raises(DocumentError):
        trial_from_document(document)
    if document is not None:
        with pytest.raises(DocumentError):
            estimate_from_document(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 1.5}, "from 0 to 1"),
        ({"accuracy": float("inf")}, "finite"),
        ({"accuracies": [0.5, 1.5]}, "from 0 to 1, not 1.5"),
        ({"accuracies": [0.5, "0.5"]}, "not of type float"),
        ({"repeats": 1.0}, "not of type int"),
        ({"accuracy": "0.5"}, "not of type float"),
        ({"round": 1.0}, "not of type int"),
        ({"architecture": {}}, "blocks is missing"),
        ({"failure": 5}, "not of type str"),
    ],
)
def test_a_wrong_trial_is_refused(change: dict[str, Any], message: str) -> None:
    document = trial_to_document(trial(ZOO["mnasnet-a1"]))
    assert trial_from_document(document) == trial(ZOO["mnasnet-a1"])
    with pytest.raises(DocumentError, match=message):
        trial_from_document({**document, **change})


def test_the_accuracies_of_a_network_evaluated_again_are_kept() -> None:
    again = replace(trial(ZOO["mnasnet-a1"]), accuracies=(0.4, 0.5, 0.6), repeats=3)
    document = json.loads(json.dumps(trial_to_document(again)))
    assert trial_from_document(document) == again


def test_a_network_evaluated_once_is_written_as_before() -> None:
    once = trial(ZOO["mnasnet-a1"])
    document = trial_to_document(once)
    assert not document.keys() & {"accuracies", "repeats"}
    assert trial_from_document(document) == once


def test_the_quantiles_of_a_measurement_are_kept_with_its_latency() -> None:
    measured = replace(estimate(10**6), raw=RawSamples(10**6, 10**6, 2 * 10**6, 60, 5, 1))
    document = trial_to_document(trial(ZOO["mnasnet-a1"], latency=measured))["latency"]
    assert estimate_from_document(json.loads(json.dumps(document))) == measured


def test_an_estimate_without_a_latency_is_refused() -> None:
    document = trial_to_document(trial(ZOO["mnasnet-a1"], latency=estimate(10**6)))["latency"]
    assert estimate_from_document(document) == estimate(10**6)
    assert "raw" not in document
    with pytest.raises(DocumentError, match="the latency must be above zero"):
        estimate_from_document({**document, "latency_ns": 0})


def test_the_study_that_version_0_1_0_left_is_resumed_as_it_is(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        runs = [member for member in archive if member.name.startswith("runs/")]
        archive.extractall(tmp_path, runs, filter="data")
    folder = tmp_path / "runs" / "old"
    document = (folder / "study.json").read_bytes()
    asked_for = StudySettings(
        space="narrow",
        strategy=StrategyName.PPO,
        targets=(SearchTarget("40280224757e5a3e", 500_000),),
        accuracy=OtherSource({"made up": True}),
        round_size=6,
    )
    with open_study(folder, asked_for) as study:
        latest = study.latest()
        assert len(study.rounds) == 4
    assert len(latest) == 18
    assert sum(map(is_measured, latest.values())) == 6
    for architecture, found in latest.items():
        assert found.accuracy is not None
        assert found.latency is not None
        wanted = asked_for.reward.value(found.accuracy, found.latency.latency_ns, 500_000)
        assert found.reward == wanted
        assert Architecture.from_dict(architecture.to_dict()).id == architecture.id
    assert (folder / "study.json").read_bytes() == document
