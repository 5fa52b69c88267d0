from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from search.space.zoo import ZOO
from search.surrogate.regression import AccuracySurrogate, surrogate_features
from tests.search.surrogate.additive import SPACE, networks, trained_accuracy, true_accuracy


def test_a_feature_stands_for_each_choice_and_two_for_the_size() -> None:
    drawn = networks(5)
    features = surrogate_features(SPACE, drawn)
    choices = sum(len(decision.choices) for decision in SPACE.decisions)
    assert features.shape == (5, choices + 2)
    assert (features[:, :choices].sum(axis=1) == len(SPACE.decisions)).all()
    assert np.array_equal(surrogate_features(SPACE, drawn[::-1]), features[::-1])


def test_a_network_outside_the_space_has_no_features() -> None:
    with pytest.raises(ValueError, match="does not lie in the space accel-nas-bench"):
        surrogate_features(SPACE, [*networks(1), ZOO["mobilenet-v2"]])


def test_it_ranks_networks_that_were_never_trained() -> None:
    drawn = networks(400)
    trained, unseen = drawn[:200], drawn[200:]
    features = surrogate_features(SPACE, trained)
    surrogate = AccuracySurrogate.fit(features, list(map(trained_accuracy, trained)))
    predicted = surrogate.predict(surrogate_features(SPACE, unseen))
    assert kendalltau(predicted, list(map(true_accuracy, unseen))).statistic > 0.75


def test_smoothed_accuracies_are_nearer_to_the_truth_than_trained_ones() -> None:
    drawn = networks(200)
    trained, true = (np.array(list(map(f, drawn))) for f in (trained_accuracy, true_accuracy))
    surrogate = AccuracySurrogate.fit(surrogate_features(SPACE, drawn), trained.tolist())
    smoothed = surrogate.smoothed([1] * 200)
    assert np.abs(smoothed - true).mean() < 0.8 * np.abs(trained - true).mean()
    between = (smoothed - trained) * (smoothed - surrogate.fitted) <= 0
    assert between.all()


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_equal_accuracies_stay_as_they_are(accuracy: float) -> None:
    features = surrogate_features(SPACE, networks(20))
    surrogate = AccuracySurrogate.fit(features, [accuracy] * 20)
    assert surrogate.smoothed([1] * 20) == pytest.approx(np.full(20, accuracy))
    assert surrogate.predict(features) == pytest.approx(np.full(20, accuracy))


def test_the_more_evaluations_the_less_is_smoothed() -> None:
    drawn = networks(50)
    trained = np.array(list(map(trained_accuracy, drawn)))
    surrogate = AccuracySurrogate.fit(surrogate_features(SPACE, drawn), trained.tolist())
    once, often = surrogate.smoothed([1] * 50), surrogate.smoothed([9] * 50)
    assert np.abs(often - trained) == pytest.approx(np.abs(once - trained) / 5)
