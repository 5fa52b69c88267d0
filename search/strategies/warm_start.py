"""Known good networks to begin a search with."""

from __future__ import annotations

from pathlib import Path

from search.space.architecture import Architecture
from search.space.space import Space
from search.space.zoo import ZOO
from search.study.settings import StudyError
from search.study.study import read_study, study_folder
from search.study.trial import best_by_reward

ZOO_NAME = "zoo"


def networks_to_start_with(
    name: str, space: Space, runs: Path, count: int
) -> tuple[list[Architecture], list[str]]:
    """Return networks of the zoo, or the best ones of another study.

    Their accuracies and latencies are found out again, for the other study may have had other
    data and another target.

    Args:
        name: "zoo", or the name of a study in `runs`.
        space: The space that is searched.
        runs: The folder of studies.
        count: Number of networks to take from a study, at most. All of the zoo are taken.

    Returns:
        The networks that lie in the space, and the names of the zoo's networks that do not.

    Raises:
        StudyError: There is no such study, or no network to begin with.
    """
    if name == ZOO_NAME:
        spelled = {n: a for n, a in ZOO.items() if space.spell(a) is not None}
        if not spelled:
            raise StudyError(
                f"no network of the zoo lies in the space {space.name}: start from a study"
            )
        return list(spelled.values()), [n for n in ZOO if n not in spelled]
    study = read_study(study_folder(runs, name))
    if study.settings.space != space.name:
        raise StudyError(
            f"the study {name} searched the space {study.settings.space}, not {space.name}: "
            "start from a study of the same space"
        )
    best = best_by_reward(study.latest().values(), count)
    if not best:
        raise StudyError(f"no network of the study {name} has a reward: start from another study")
    return [trial.architecture for trial in best], []
