"""What makes different candidates equal in the proxy task is refused before a search begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.sources import open_source
from search.space.space import mnasnet_space
from search.study.settings import ProxyBudget, TrainingSource

FEW = ProxyBudget(train_images=32, val_images=16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width_multiplier": 0.1}, "--proxy-width 0.125 or more"),
        ({"resolution": 32}, "--proxy-resolution 33 or more"),
        ({"resolution": 64, "stem_stride": 2}, "--proxy-resolution 65 or more"),
    ],
)
def test_equal_networks_are_refused(change: dict[str, float], message: str, tmp_path: Path) -> None:
    budget = replace(FEW, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        open_source(TrainingSource("digits", budget), mnasnet_space(), tmp_path)


@pytest.mark.parametrize(
    "budget",
    [
        FEW,
        replace(FEW, width_multiplier=0.125),
        replace(FEW, resolution=65, stem_stride=2),
        replace(FEW, resolution=32, width_multiplier=0.05, distinct_networks=False),
    ],
)
def test_distinct_networks_and_earlier_studies_are_trained(
    budget: ProxyBudget, tmp_path: Path
) -> None:
    opened = open_source(TrainingSource("digits", budget), mnasnet_space(), tmp_path)
    assert isinstance(opened.accuracy, ProxyAccuracy)
    assert opened.settings == TrainingSource("digits", budget)
