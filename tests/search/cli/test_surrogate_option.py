from __future__ import annotations

from pathlib import Path

import pytest

from search.cli.accuracy_options import surrogate_settings
from search.study.settings import (
    AccuracySource,
    CommandSource,
    SurrogateSettings,
    TableSource,
    TrainingSource,
)
from search.study.study import open_study
from tests.search.fakes import settings

TRAINING = TrainingSource("digits")
NEW = SurrogateSettings()
OTHER = SurrogateSettings(draws=3)


@pytest.mark.parametrize(
    ("is_wanted", "source", "used"),
    [
        (None, TRAINING, NEW),
        (None, TableSource("table.csv"), None),
        (None, CommandSource("true"), None),
        (True, CommandSource("true"), NEW),
        (False, TRAINING, None),
    ],
)
def test_a_new_study_uses_a_surrogate_where_candidates_are_trained(
    tmp_path: Path, is_wanted: bool | None, source: AccuracySource, used: SurrogateSettings | None
) -> None:
    assert surrogate_settings(is_wanted, tmp_path, source) == used


@pytest.mark.parametrize(
    ("made_with", "is_wanted", "used"),
    [
        (None, None, None),
        (None, True, NEW),
        (OTHER, None, OTHER),
        (OTHER, True, OTHER),
        (OTHER, False, None),
    ],
)
def test_a_resumed_study_keeps_what_it_began_with(
    tmp_path: Path,
    made_with: SurrogateSettings | None,
    is_wanted: bool | None,
    used: SurrogateSettings | None,
) -> None:
    with open_study(tmp_path, settings(surrogate=made_with)):
        pass
    assert surrogate_settings(is_wanted, tmp_path, TRAINING) == used
