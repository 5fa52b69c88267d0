"""Networks that are known to be good, to begin a search with."""

from __future__ import annotations

from pathlib import Path

from search.space.architecture import Architecture
from search.space.space import Space
from search.space.zoo import ZOO
from search.study.settings import StudyError
from search.study.study import read_study, study_folder

ZOO_NAME = "zoo"


def networks_to_start_with(
    name: str, space: Space, runs: Path, count: int
) -> tuple[list[Architecture], list[str]]:
    """Of the zoo those that lie in the space, and the names of the others; or of the study of
    that name in `runs` the `count` best by reward. Their accuracy and latency are found out
    anew: the study may have been of other data and of another target.

    Raises StudyError where there is none.
    """
    if name == ZOO_NAME:
        spelled = {n: a for n, a in ZOO.items() if space.spell(a) is not None}
        if not spelled:
            raise StudyError(f"no network of the zoo lies in {space.name}: start from a study")
        return list(spelled.values()), [n for n in ZOO if n not in spelled]
    study = read_study(study_folder(runs, name))
    if study.settings.space != space.name:
        raise StudyError(
            f"the study {name} is of the space {study.settings.space}, not of {space.name}: "
            "start from one of the same space"
        )
    rewarded = [(t.reward, a) for a, t in study.latest().items() if t.reward is not None]
    best = sorted(rewarded, key=lambda pair: -pair[0])[:count]
    if not best:
        raise StudyError(f"no network of the study {name} has a reward: start from another")
    return [architecture for _, architecture in best], []
