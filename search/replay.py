"""Replay a study's finished rounds with a new strategy."""

from __future__ import annotations

from collections.abc import Callable

from search.strategies.strategy import Strategy
from search.study.settings import StudyError
from search.study.study import Study


def replay(study: Study, strategy: Strategy, on_note: Callable[[str], None]) -> int:
    """Take a new strategy to where a study stands.

    Args:
        study: The study.
        strategy: A new strategy with the study's settings.
        on_note: Called with a line if the strategy proposes other networks than the study holds.

    Returns:
        The number of rounds that the strategy was asked for.

    Raises:
        StudyError: The strategy cannot have proposed what the study's rounds hold.
    """
    if study.rounds and not study.rounds[0].asked:
        strategy.learn(study.rounds[0].trials)
    asked = [finished for finished in study.rounds if finished.asked]
    differing = 0
    for finished in asked:
        recorded = [trial.architecture for trial in finished.trials]
        if strategy.ask(len(recorded)) != recorded:
            differing += 1
            try:
                strategy.adopt(recorded)
            except ValueError as error:
                raise StudyError(
                    f"round {finished.index} of the study in {study.directory} cannot be "
                    f"replayed, because another version of the software made it ({error}): use "
                    "another name"
                ) from error
        strategy.tell(finished.trials)
    if differing:
        on_note(
            f"{differing} of {len(asked)} rounds were made where arithmetic or the software "
            "differs: the search goes on from the recorded networks, and its next ones may be "
            "others than there"
        )
    return len(asked)
