from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.settings import PPOSettings


@given(
    st.builds(
        PPOSettings,
        learning_rate=st.floats(1e-9, 1e3),
        clip_coef=st.floats(0, 1, exclude_min=True, exclude_max=True),
        ent_coef=st.floats(0, 1e3),
        baseline_decay=st.floats(0, 1, exclude_max=True),
        minibatch_size=st.integers(1, 10**6),
        epochs=st.integers(1, 10_000),
    )
)
def test_what_is_written_is_read(settings: PPOSettings) -> None:
    assert PPOSettings.parsed(f"{n}={v}" for n, v in asdict(settings).items()) == settings
    assert PPOSettings(**json.loads(json.dumps(settings.changed()))) == settings


def test_defaults_are_no_change() -> None:
    assert PPOSettings.parsed([]) == PPOSettings()
    assert PPOSettings.parsed(["learning_rate=0.00035", "epochs=4"]).changed() == {"epochs": 4}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("rate=1", "no setting 'rate=1'.*learning_rate=0.00035, .*epochs=3"),
        ("", "no setting ''"),
        ("epochs", "epochs must be a whole number, not ''"),
        ("epochs=2.5", "epochs must be a whole number"),
        ("clip_coef=some", "clip_coef must be a number, not 'some'"),
        ("learning_rate=0", "learning_rate must be above 0 and at most 1,000, not 0"),
        ("learning_rate=inf", "learning_rate"),
        ("learning_rate=nan", "learning_rate"),
        ("clip_coef=-0.1", "clip_coef must be above 0 and below 1"),
        ("ent_coef=-1", "ent_coef"),
        ("baseline_decay=1", "baseline_decay must be from 0 to below 1"),
        ("minibatch_size=0", "minibatch_size must be from 1 to 1,000,000, not 0"),
        ("epochs=0", "epochs"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PPOSettings.parsed([assignment])
