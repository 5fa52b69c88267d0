"""Studies that differ by nothing but their seed are one group, drawn as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from search.study.reward import ABSOLUTE_BETA, HARD, SOFT
from search.study.settings import StudyError, StudySettings
from search.study.study import Study

UNNAMED = ("strategy", "reward")  # whose values speak for themselves
SEEDS = ("seed", "accuracy: seed")
# Studies up to version 0.1.0 recorded how well a supernet agreed with the proxy: a finding, and
# no setting.
FOUND = "agreement_"


@dataclass(frozen=True, eq=False)
class Group:
    """label: what sets it apart from the other groups. settings: label to text, without seeds."""

    label: str
    settings: dict[str, str]
    studies: tuple[Study, ...]


def described(settings: StudySettings) -> dict[str, str]:
    """Everything that a study was started with, label to text."""
    values: dict[str, Any] = asdict(settings)
    for name in ("target_id", "target_ns", "more_target_ids", "more_targets_ns"):
        del values[name]
    accuracy, beta, weights = values.pop("accuracy"), values.pop("beta"), values.pop("weights")
    reward = reward_name(values.pop("alpha"), beta, absolute=values.pop("absolute"))
    targets_ns = settings.combination().targets_ns
    return {
        "strategy": values.pop("strategy"),
        "reward": reward,
        "target": _text(settings.target_ids()),
        "target latency": ", ".join(f"{target_ns / 1e6:.6g} ms" for target_ns in targets_ns),
        **({"weights": _text(weights)} if weights else {}),
        **{_label(name): _text(value) for name, value in values.items()},
        **{f"accuracy: {_label(name)}": _text(value) for name, value in accuracy.items()},
    }


def reward_name(alpha: float, beta: float, *, absolute: bool) -> str:
    """ "soft", "hard", "absolute", or its exponents."""
    if absolute:
        return "absolute" if beta == ABSOLUTE_BETA else f"absolute β = {beta:g}"
    names = {SOFT: "soft", HARD: "hard"}
    return names.get((alpha, beta), f"α = {alpha:g}, β = {beta:g}")


def group_studies(studies: Sequence[Study]) -> list[Group]:
    """In the order of their first studies. Raises StudyError where the latencies or the
    accuracies of two studies do not compare."""
    members: dict[str, list[Study]] = {}
    for study in studies:
        _check_comparable(studies[0], study)
        members.setdefault(json.dumps(_key(study.settings), sort_keys=True), []).append(study)
    settings = [_without_seeds(described(each[0].settings)) for each in members.values()]
    differing = [
        label
        for label in dict.fromkeys(label for of in settings for label in of)
        if len({of.get(label) for of in settings}) > 1
    ]
    return [
        Group(_group_label(of, differing), of, tuple(each))
        for of, each in zip(settings, members.values(), strict=True)
    ]


def _key(settings: StudySettings) -> dict[str, Any]:
    return asdict(replace(settings, seed=0, accuracy=_accuracy(settings)))


def _without_seeds(settings: dict[str, str]) -> dict[str, str]:
    found = f"accuracy: {_label(FOUND)}"
    return {
        label: text
        for label, text in settings.items()
        if label not in SEEDS and not label.startswith(found)
    }


def _check_comparable(one: Study, other: Study) -> None:
    for what, of in (("latencies", _target), ("accuracies", _accuracy)):
        ours, theirs = of(one.settings), of(other.settings)
        if ours != theirs:
            raise StudyError(
                f"{one.directory.name} and {other.directory.name} do not compare: their {what} "
                f"are by {_text(ours)} and by {_text(theirs)}. Name studies of one target and "
                "of one way to get accuracies"
            )


def _target(settings: StudySettings) -> object:
    """Latencies on several are made of what each is held against, too."""
    if not settings.more_target_ids:
        return settings.target_id
    return settings.target_ids(), settings.combination().targets_ns, settings.weights


def _accuracy(settings: StudySettings) -> dict[str, Any]:
    return {
        name: value
        for name, value in settings.accuracy.items()
        if name != "seed" and not name.startswith(FOUND)
    }


def _group_label(settings: dict[str, str], differing: Sequence[str]) -> str:
    """By what differs; where nothing does, by what always tells."""
    parts = [
        settings[label] if label in UNNAMED else f"{label} {settings.get(label, 'none')}"
        for label in differing or UNNAMED
    ]
    return ", ".join(parts)


def _label(name: str) -> str:
    return name.replace("_", " ").removesuffix(" id")


def _text(value: object) -> str:
    if value in (None, [], {}):
        return "none"
    match value:
        case dict():
            return ", ".join(f"{_label(str(k))} {_text(v)}" for k, v in value.items())
        case list() | tuple():
            return ", ".join(map(_text, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)
