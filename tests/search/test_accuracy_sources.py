from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.training import AccuracyFailure, ProxyBudget
from search.architecture import Architecture
from search.cli.accuracy import AGREEMENT_NETWORKS, AccuracySource, by_supernet
from search.study import StudyError, open_study
from tests.search.fakes import settings, small_space, true_accuracy

TASK = ProxyBudget(train_images=128, val_images=32, resolution=8)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """The networks that the proxy was asked for; the first of them always fails."""
    asked: list[Architecture] = []

    def evaluate(
        self: ProxyAccuracy,
        architectures: Sequence[Architecture],
        on_progress: Callable[[int], None],
    ) -> list[float | AccuracyFailure]:
        asked.extend(architectures)
        on_progress(len(asked))
        return [AccuracyFailure("diverged"), *map(true_accuracy, architectures[1:])]

    monkeypatch.setattr(ProxyAccuracy, "evaluate", evaluate)
    return asked


def supernet(folder: Path, task: ProxyBudget = TASK) -> AccuracySource:
    return by_supernet("digits", task, 1, small_space(), folder)


def test_a_study_s_supernet_is_trained_and_compared_once(
    compared: list[Architecture], tmp_path: Path
) -> None:
    first = supernet(tmp_path)
    assert len(compared) == AGREEMENT_NETWORKS
    assert first.described["supernet_epochs"] == 1
    assert first.described["agreement_networks"] == AGREEMENT_NETWORKS - 1
    assert json.loads(json.dumps(first.described)) == first.described
    assert "Kendall's τ" in first.note
    with open_study(tmp_path, settings(accuracy=first.described)):
        pass

    again = supernet(tmp_path)
    assert len(compared) == AGREEMENT_NETWORKS
    assert (again.described, again.note) == (first.described, first.note)
    asked = [small_space().resolve([0] * len(small_space().decisions))]
    assert again.accuracy.evaluate(asked, print) == first.accuracy.evaluate(asked, print)

    with pytest.raises(StudyError, match="other settings: seed was 0 and is now 1"):
        supernet(tmp_path, replace(TASK, seed=1))


def test_a_supernet_that_ranks_nothing_says_so(
    compared: list[Architecture], tmp_path: Path
) -> None:
    """The fake proxy's accuracies have nothing to do with the networks."""
    assert "too uncertain to be trusted" in supernet(tmp_path).note
