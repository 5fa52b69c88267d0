"""Fit a predictor on measurements, a few of which may be impossible to fit on."""

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
    """Fit a predictor on as many networks as possible, without those that make the fit fail.

    If the fit on all networks fails, a few neighbours are sought on which it works. The others
    are then added in halves. A half that makes the fit fail is halved again, down to single
    networks. After MAX_FITS fits the networks that were not added are left out.

    Args:
        fit: Fits on networks. It may raise anything.
        networks: The networks by id. Their order is kept.

    Returns:
        The fit, and why networks were left out, by id.

    Raises:
        NotEnoughData: There are too few networks, or no neighbours can be fitted on together.
    """
    trial = _Trial(fit, networks)
    fitted, why = trial.run(list(networks))
    if fitted is not None:
        return fitted, {}
    if why is None:
        raise trial.too_few
    good = _neighbours(trial, list(networks))
    if not good:
        raise NotEnoughData(f"no predictor can be fitted on the measurements ({why})")
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
    """Fits that may fail.

    Attributes:
        fits: How many were tried.
        too_few: What the last fit on too few networks raised.
    """

    def __init__(
        self, fit: Callable[[Sequence[Network]], Fitted], networks: Mapping[str, Network]
    ) -> None:
        self.fit = fit
        self.fits = 0
        self.too_few = NotEnoughData()
        self._networks = networks

    def run(self, ids: Sequence[str]) -> tuple[Fitted | None, str | None]:
        """Return the fit on some networks, or why it failed.

        Both are None if the networks are too few, for which none of them is to blame.
        """
        self.fits += 1
        chosen = set(ids)
        try:
            chosen_networks = [each for id_, each in self._networks.items() if id_ in chosen]
            return self.fit(chosen_networks), None
        except NotEnoughData as error:
            self.too_few = error
            return None, None
        except Exception as error:  # odd numbers may raise anything
            return None, f"{type(error).__name__}: {error}"


def _neighbours(trial: _Trial[Network, Fitted], ids: list[str]) -> list[str]:
    """Return as few neighbours as suffice for a fit; none if none are found in MAX_FITS fits."""
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
