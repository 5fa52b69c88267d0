"""A resumed study keeps what no option has chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search.cli.accuracy_options import as_before
from search.study.settings import (
    AccuracySource,
    CommandSource,
    ProxyBudget,
    TableSource,
    TrainingSource,
)
from search.study.study import open_study
from tests.search.fakes import settings

ASKED = TrainingSource("digits", ProxyBudget(epochs=7))
EARLIER = TrainingSource("digits", ProxyBudget(resolution=32, distinct_networks=False, epochs=2))


def made_with(folder: Path, source: AccuracySource) -> None:
    with open_study(folder, settings(accuracy=source)):
        pass


def test_a_study_from_before_networks_were_distinct_keeps_its_networks(tmp_path: Path) -> None:
    made_with(tmp_path, EARLIER)
    found = as_before(ASKED, tmp_path, None)
    assert found == replace(EARLIER, budget=replace(EARLIER.budget, epochs=7))


def test_a_resolution_that_is_given_is_not_replaced(tmp_path: Path) -> None:
    """Opening the study then says that it was made with another one."""
    made_with(tmp_path, EARLIER)
    found = as_before(ASKED, tmp_path, 64)
    assert isinstance(found, TrainingSource)
    assert found.budget.resolution == 64
    assert not found.budget.distinct_networks


@pytest.mark.parametrize("asked", [ASKED, TableSource("t.csv"), CommandSource("true")])
def test_a_new_study_has_what_was_asked_for(asked: AccuracySource, tmp_path: Path) -> None:
    assert as_before(asked, tmp_path / "new", None) == asked
    made_with(tmp_path / "other", CommandSource("echo 0.5"))
    assert as_before(asked, tmp_path / "other", None) == asked
