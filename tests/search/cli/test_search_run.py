"""What `latlab search` takes from a study that it resumes."""

from __future__ import annotations

import json
from pathlib import Path

from search.cli.accuracy_options import as_before
from search.study.settings import CommandSource, TrainingSource
from search.study.study import SETTINGS, open_study
from tests.search.fakes import settings


def test_a_new_study_keeps_the_test_images(tmp_path: Path) -> None:
    source = TrainingSource("digits", keeps_test_images=True)
    assert as_before(TrainingSource("digits"), tmp_path / "new", None) == source


def test_an_earlier_study_goes_on_with_the_images_that_it_began_with(tmp_path: Path) -> None:
    folder = tmp_path / "earlier"
    with open_study(folder, settings(accuracy=TrainingSource("digits"))):
        document = json.loads((folder / SETTINGS).read_text())
    del document["accuracy"]["keeps_test_images"]  # no earlier version wrote it
    (folder / SETTINGS).write_text(json.dumps(document))
    source = as_before(TrainingSource("digits"), folder, None)
    assert source == TrainingSource("digits", keeps_test_images=False)
    with open_study(folder, settings(accuracy=source)) as study:
        assert study.settings.accuracy == source


def test_another_source_of_accuracies_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "trained"
    with open_study(folder, settings(accuracy=TrainingSource("digits"))):
        assert as_before(CommandSource("true"), folder, None) == CommandSource("true")
