"""Study documents of older versions, brought to the form of today's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from search.study.settings import ProxyBudget

# The settings that version 1 spells as version 2 does.
KEPT = ("space", "strategy", "round_size", "seed", "limits", "warm_start", "ppo")
REPLACED = (
    "target_id",
    "target_ns",
    "more_target_ids",
    "more_targets_ns",
    "weights",
    "accuracy",
    "alpha",
    "beta",
    "absolute",
)
SOFT, HARD = (-0.07, -0.07), (0.0, -1.0)  # exponents within and above the target
BUDGET = frozenset(field.name for field in fields(ProxyBudget))
# Version 1 recorded findings beside the settings: how well the fitted trees predict the table,
# and, in its first studies, how well a supernet agreed with the proxy task.
HELD_OUT = frozenset({"held_out_kendall", "held_out_r2"})
AGREEMENT = "agreement_"
# What trainings did before the settings named it.
EARLIER_TRAINING = {"keeps_test_images": False}
EARLIER_BUDGET = {"resolution": 32, "distinct_networks": False}


def upgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a study in the form of version 2, given those of version 1.

    Values are not checked, for the serializer checks them.

    Raises:
        LookupError: A setting is missing.
        ValueError: A setting is unknown, or lists that belong together differ in length.
    """
    if unknown := document.keys() - {*KEPT, *REPLACED}:
        raise ValueError(f"the settings have unknown fields: {', '.join(sorted(unknown))[:80]}")
    ids = [document["target_id"], *document.get("more_target_ids", [])]
    latencies_ns = [document["target_ns"], *document.get("more_targets_ns", [])]
    weights = document.get("weights") or [None] * len(ids)
    return {
        **{name: document[name] for name in KEPT if name in document},
        "targets": [
            {"id": id_, "latency_ns": latency_ns, "weight": weight}
            for id_, latency_ns, weight in zip(ids, latencies_ns, weights, strict=True)
        ],
        "reward": _reward(document),
        "accuracy": _accuracy(document["accuracy"]),
    }


def with_earlier_choices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a study with what was no choice yet when the study was made.

    Args:
        settings: A document of version 2. Fields that came later may be missing.
    """
    accuracy = settings.get("accuracy")
    if not isinstance(accuracy, dict) or accuracy.get("kind") != "training":
        return dict(settings)
    accuracy = {**EARLIER_TRAINING, **accuracy}
    budget = accuracy.get("budget", {})
    if isinstance(budget, dict):
        accuracy["budget"] = {**EARLIER_BUDGET, **budget}
    return {**settings, "accuracy": accuracy}


def _reward(document: Mapping[str, Any]) -> dict[str, Any]:
    exponents = document.get("alpha", SOFT[0]), document.get("beta", SOFT[1])
    if document.get("absolute", False):
        return {"kind": "absolute", "beta": exponents[1]}
    if exponents == SOFT:
        return {"kind": "soft"}
    if exponents == HARD:
        return {"kind": "hard"}
    return {"kind": "power", "alpha": exponents[0], "beta": exponents[1]}


def _accuracy(facts: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: value for name, value in facts.items() if not name.startswith(AGREEMENT)}
    names = facts.keys()
    if "dataset" in names and names <= {"dataset", *BUDGET}:
        budget = {name: value for name, value in facts.items() if name != "dataset"}
        return {"kind": "training", "dataset": facts["dataset"], "budget": budget}
    if {"table", "column", "fingerprint"} == names - HELD_OUT:
        kept = {name: value for name, value in facts.items() if name not in HELD_OUT}
        return {"kind": "table", **kept, "fit": names >= HELD_OUT}
    if names == {"command"}:
        return {"kind": "command", **facts}
    return {"kind": "other", "facts": facts}
