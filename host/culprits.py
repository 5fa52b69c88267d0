"""Fitting on measurements of which a few may be impossible to fit on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from latency_models.predictor import NotEnoughData

Fitted = TypeVar("Fitted")
Network = TypeVar("Network")

MAX_FITS = 40  # of a hundred networks they find three culprits


def fit_without_culprits(
    fit: Callable[[Sequence[Network]], Fitted], networks: Mapping[str, Network]
) -> tuple[Fitted, dict[str, str]]:
    """The fit on as many of the networks as can be fitted on together, in their order; and why
    each of the others, by its id, was left out.

    Where all together cannot be, halves are added to those that can, and halves of the halves
    that cannot be added, down to single networks. After MAX_FITS what is left is left out.
    Raises NotEnoughData as `fit` does on those that remain.
    """
    fitted, why = _try(fit, list(networks.values()))
    if fitted is not None:
        return fitted, {}
    if why is None:  # too few: said again
        return fit(list(networks.values())), {}
    good: set[str] = set()
    culprits: dict[str, str] = {}
    groups = _halves(list(networks))
    for _ in range(MAX_FITS):
        if not groups:
            break
        group = groups.pop(0)
        _, why = _try(fit, [networks[id_] for id_ in networks if id_ in good.union(group)])
        if why is None:
            good.update(group)
        elif len(group) == 1:
            culprits[group[0]] = f"no predictor can be fitted on it: {why}"
        else:
            groups[:0] = _halves(group)
    for group in groups:
        culprits |= dict.fromkeys(group, f"left out, unlooked at, after {MAX_FITS} fits")
    return fit([networks[id_] for id_ in networks if id_ in good]), culprits


def _try(
    fit: Callable[[Sequence[Network]], Fitted], networks: Sequence[Network]
) -> tuple[Fitted | None, str | None]:
    """What was fitted, or why that failed. Neither where the networks are too few: that is
    held against none of them."""
    try:
        return fit(networks), None
    except NotEnoughData:
        return None, None
    except Exception as error:  # whatever odd numbers make of it
        return None, f"{type(error).__name__}: {error}"


def _halves(group: list[str]) -> list[list[str]]:
    middle = len(group) // 2
    return [half for half in (group[:middle], group[middle:]) if half]
