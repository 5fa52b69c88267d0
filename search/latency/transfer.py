"""What the lab's other targets tell of one on which little was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.measured_networks import newest_of_each
from latency_models.transfer import Transfer, Transferred, leave_one_out_errors
from latlab.client.client import LatencyClient
from latlab.domain.errors import NotEnoughData, NotReady, UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.target import Target
from search.latency.calibration import CANDIDATES, random_networks
from search.space.kernels import kernels
from search.space.space import mnasnet_space

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FromOtherTargets:
    """errors: (measured networks,) relative, of each when predicted from the others.
    predicted: of the networks asked for.
    """

    sources: tuple[Target, ...]
    errors: FloatArray
    predicted: Transferred


def predict_from_other_targets(
    client: LatencyClient, target: Target, networks: Sequence[Sequence[Kernel]]
) -> FromOtherTargets:
    """By what was measured on the target, and every other target's predictor that knows all
    the kinds of kernels in it. Raises NotReady where there is none or too little was measured.
    """
    newest = newest_of_each(client.measured_networks(target.id))
    candidates = map(kernels, random_networks(mnasnet_space(), CANDIDATES))
    known = [*newest, *candidates]
    sources_ns = _sources_ns(client, target, [*known, *networks])
    if not sources_ns:
        raise NotReady(f"no other target's predictor can tell of {target.name}")
    columns = np.column_stack(list(sources_ns.values()))
    measured_ns = np.array([network.latency_ns for network in newest.values()])
    try:
        fitted = Transfer.fit(columns[: len(known)], np.arange(len(newest)), measured_ns)
        errors = leave_one_out_errors(columns[: len(newest)], measured_ns)
    except NotEnoughData as error:
        raise NotReady(f"{error}: measure more first (latlab calibrate --transfer)") from error
    return FromOtherTargets(tuple(sources_ns), errors, fitted.predict(columns[len(known) :]))


def _sources_ns(
    client: LatencyClient, target: Target, networks: Sequence[Sequence[Kernel]]
) -> dict[Target, FloatArray]:
    """(networks,) the latencies that each predicts."""
    sources_ns: dict[Target, FloatArray] = {}
    for status in client.targets():
        if status.target == target or not status.measurements:
            continue
        try:
            estimates = client.predict(status.target.id, networks)
        except (NotReady, UnknownKernelKinds):
            continue
        sources_ns[status.target] = np.array([float(e.latency_ns) for e in estimates])
    return sources_ns
