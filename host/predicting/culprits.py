"""Fitting on measurements of which a few may be impossible to fit on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from latlab.domain.errors import NotEnoughData

Fitted = TypeVar("Fitted")
Network = TypeVar("Network")

MAX_FITS = 40  # among a hundred networks they find three culprits


def fit_without_culprits(
    fit: Callable[[Sequence[Network]], Fitted], networks: Mapping[str, Network]
) -> tuple[Fitted, dict[str, str]]:
    """The fit on as many of the networks as can be fitted on together, in their order; and why
    each of the others, by its id, was left out.

    Where all together cannot be, a few neighbours are sought that can. To these the rest is
    added in halves, and halves of the halves that cannot be added, down to single networks.
    After MAX_FITS what is left is left out. Raises NotEnoughData as `fit` does on those that
    remain, and where no neighbours can be fitted on together.
    """
    trial = _Trial(fit, networks)
    fitted, why = trial.run(list(networks))
    if fitted is not None:
        return fitted, {}
    if why is None:
        raise trial.too_few
    good = _neighbours(trial, list(networks))
    if not good:
        raise NotEnoughData(f"no predictor can be fitted on what was measured ({why})")
    culprits: dict[str, str] = {}
    groups = _halves([id_ for id_ in networks if id_ not in good])
    while groups and trial.fits < MAX_FITS:
        group = groups.pop(0)
        _, why = trial.run([*good, *group])
        if why is None:
            good += group
        elif len(group) == 1:
            culprits[group[0]] = f"no predictor can be fitted on it: {why}"
        else:
            groups[:0] = _halves(group)
    for group in groups:
        culprits |= dict.fromkeys(group, f"left out after {MAX_FITS} fits, not looked at")
    return trial.fit([networks[id_] for id_ in networks if id_ in good]), culprits


class _Trial(Generic[Network, Fitted]):
    """fits: how many were tried. too_few: what the last of them lacked."""

    def __init__(
        self, fit: Callable[[Sequence[Network]], Fitted], networks: Mapping[str, Network]
    ) -> None:
        self.fit = fit
        self.fits = 0
        self.too_few = NotEnoughData()
        self._networks = networks

    def run(self, ids: Sequence[str]) -> tuple[Fitted | None, str | None]:
        """What was fitted on them, or why that failed; neither where they are too few, which
        is held against none of them."""
        self.fits += 1
        chosen = set(ids)
        try:
            return self.fit([of for id_, of in self._networks.items() if id_ in chosen]), None
        except NotEnoughData as error:
            self.too_few = error
            return None, None
        except Exception as error:  # whatever odd numbers make of it
            return None, f"{type(error).__name__}: {error}"


def _neighbours(trial: _Trial[Network, Fitted], ids: list[str]) -> list[str]:
    """As few as are enough; none where there are none within MAX_FITS."""
    width = 1
    for start in range(len(ids)):
        while trial.fits < MAX_FITS:
            window = (ids[start:] + ids[:start])[:width]
            fitted, why = trial.run(window)
            if fitted is not None:
                return window
            if why is not None or width == len(ids):
                break
            width = min(2 * width, len(ids))
    return []


def _halves(group: list[str]) -> list[list[str]]:
    middle = len(group) // 2
    return [half for half in (group[:middle], group[middle:]) if half]
