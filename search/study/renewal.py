"""Replace the latencies of measured trials by those that the lab gives for them now.

The lab corrects measured latencies for other work on the machine, and learns this correction as it
measures. So two measurements of one study may have been corrected differently. What is compared on
one front or one page is looked up together, and so corrected alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from latlab.domain.estimate import LatencyEstimate
from search.study.combined_latency import Combination
from search.study.settings import StudySettings
from search.study.trial import Trial, rewarded


def measurement_ids(trial: Trial) -> list[str]:
    """Return the ids of the trial's measurements, one for each target; none if it has none."""
    return trial.measurement_id.split("+") if trial.measurement_id else []


def renewed(
    trials: Iterable[Trial], estimates: Mapping[str, LatencyEstimate], settings: StudySettings
) -> list[Trial]:
    """Return the trials with these latencies of their measurements, and the rewards for them.

    A trial stays as it is if it was not measured, or if one of its measurements has no estimate.

    Args:
        trials: The trials of a study.
        estimates: Estimates by the ids of their measurements.
        settings: The study's settings.
    """
    combination = Combination(settings.targets)

    def with_latency(trial: Trial) -> Trial:
        ids = measurement_ids(trial)
        if not ids or trial.accuracy is None or any(id_ not in estimates for id_ in ids):
            return trial
        latency = combination.combine([estimates[id_] for id_ in ids])
        return rewarded(replace(trial, latency=latency), settings)

    return list(map(with_latency, trials))
