"""Groups of studies that differ only in their seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.study.document import flat_settings
from search.study.settings import StudyError, StudySettings
from search.study.study import Study

UNNAMED = ("strategy", "reward")  # labels show the values of these without their names
SEPARATE_OBJECTIVES = "accuracy and the latency on each target"
SEED = "seed"  # the last part of the names of all seeds


@dataclass(frozen=True, eq=False)
class Group:
    """Studies that differ only in their seed, which are drawn as one.

    Attributes:
        label: The settings in which the group differs from the others.
        settings: All settings but the seeds, label to text.
        studies: The studies.
    """

    label: str
    settings: dict[str, str]
    studies: tuple[Study, ...]


def described(settings: StudySettings) -> dict[str, str]:
    """Return all settings of a study, label to text."""
    weights = [target.weight for target in settings.targets if target.weight is not None]
    deployment = settings.deployment
    return {
        "strategy": settings.strategy.value,
        "reward": settings.reward.name,
        "target": _text(settings.target_ids),
        "target latency": ", ".join(f"{t.latency_ns / 1e6:.6g} ms" for t in settings.targets),
        **({"weights": _text(weights)} if weights else {}),
        **({"objectives": SEPARATE_OBJECTIVES} if settings.separate_targets else {}),
        "deployment": f"{deployment.resolution} px, {deployment.classes} classes"
        f"{deployment.in_precision}",
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
    """Group studies, in the order of the first study of each group.

    Raises:
        StudyError: The latencies or the accuracies of two studies cannot be compared.
    """
    members: dict[str, list[Study]] = {}
    for study in studies:
        _check_comparable(studies[0], study)
        members.setdefault(json.dumps(_key(study.settings), sort_keys=True), []).append(study)
    described_groups = [_without_seeds(described(each[0].settings)) for each in members.values()]
    differing = [
        label
        for label in dict.fromkeys(label for settings in described_groups for label in settings)
        if len({settings.get(label) for settings in described_groups}) > 1
    ]
    return [
        Group(_group_label(settings, differing), settings, tuple(each))
        for settings, each in zip(described_groups, members.values(), strict=True)
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
    for values, source in (("latencies", _target), ("accuracies", _accuracy)):
        first, second = source(one.settings), source(other.settings)
        differences = [
            f"{_label(name)} is {_text(first.get(name))} and {_text(second.get(name))}"
            for name in first | second
            if first.get(name) != second.get(name)
        ]
        if differences:
            raise StudyError(
                f"{one.directory.name} and {other.directory.name} cannot be compared, because "
                f"their {values} have different sources: {', '.join(differences)}. Name studies "
                "with the same target and the same source of accuracies"
            )


def _target(settings: StudySettings) -> dict[str, Any]:
    """Return the settings that must be equal for latencies to be comparable.

    Latencies on several targets depend on the target latencies too. The precision may differ:
    which precision is worth its accuracy is a question that a comparison answers.
    """
    several = len(settings.targets) > 1
    return {
        name: value
        for name, value in flat_settings(settings).items()
        if name.startswith(("targets", "deployment"))
        and name != "deployment.precision"
        and (several or not name.endswith("latency_ns"))
    }


def _accuracy(settings: StudySettings) -> dict[str, Any]:
    return {name: v for name, v in _key(settings).items() if name.startswith("accuracy")}


def _group_label(settings: dict[str, str], differing: Sequence[str]) -> str:
    """Return a label of the differing settings; of strategy and reward if none differ."""
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
