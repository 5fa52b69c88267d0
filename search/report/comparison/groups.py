"""Studies that differ by nothing but their seed are one group, drawn as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.study.document import flat_settings
from search.study.settings import StudyError, StudySettings
from search.study.study import Study

UNNAMED = ("strategy", "reward")  # whose values speak for themselves
SEED = "seed"  # the last part of the names of all seeds


@dataclass(frozen=True, eq=False)
class Group:
    """label: what sets it apart from the other groups. settings: label to text, without seeds."""

    label: str
    settings: dict[str, str]
    studies: tuple[Study, ...]


def described(settings: StudySettings) -> dict[str, str]:
    """Everything that a study was started with, label to text."""
    weights = [target.weight for target in settings.targets if target.weight is not None]
    deployment = settings.deployment
    return {
        "strategy": settings.strategy.value,
        "reward": settings.reward.name,
        "target": _text(settings.target_ids),
        "target latency": ", ".join(f"{t.latency_ns / 1e6:.6g} ms" for t in settings.targets),
        **({"weights": _text(weights)} if weights else {}),
        "deployment": f"{deployment.resolution} px, {deployment.classes} classes",
        "space": settings.space,
        "round size": str(settings.round_size),
        "seed": str(settings.seed),
        "limits": _text(settings.limits.by_quantity()),
        "warm start": _text(settings.warm_start),
        "ppo": _text(settings.ppo.changed()),
        **{
            f"accuracy: {_label(name.rpartition('.')[2])}": _text(value)
            for name, value in flat_settings(settings).items()
            if name.startswith("accuracy.")
        },
    }


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
    """Return all settings but the seeds."""
    return {
        name: value
        for name, value in flat_settings(settings).items()
        if name.rpartition(".")[2] != SEED
    }


def _without_seeds(settings: dict[str, str]) -> dict[str, str]:
    return {label: text for label, text in settings.items() if label.split()[-1] != SEED}


def _check_comparable(one: Study, other: Study) -> None:
    for what, of in (("latencies", _target), ("accuracies", _accuracy)):
        ours, theirs = of(one.settings), of(other.settings)
        if ours != theirs:
            raise StudyError(
                f"{one.directory.name} and {other.directory.name} do not compare: their {what} "
                f"are by {_text(ours)} and by {_text(theirs)}. Name studies of one target and "
                "of one way to get accuracies"
            )


def _target(settings: StudySettings) -> dict[str, Any]:
    """Return what latencies depend on: for several targets their target latencies, too."""
    several = len(settings.targets) > 1
    return {
        name: value
        for name, value in flat_settings(settings).items()
        if name.startswith(("targets", "deployment"))
        and (several or not name.endswith("latency_ns"))
    }


def _accuracy(settings: StudySettings) -> dict[str, Any]:
    return {name: v for name, v in _key(settings).items() if name.startswith("accuracy")}


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
