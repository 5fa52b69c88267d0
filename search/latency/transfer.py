"""Predict latencies on a target from those on other targets, where few were measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.measured_networks import each_once
from latency_models.targets.transfer import Transfer, Transferred, leave_one_out_errors
from latlab.client.client import LatencyClient
from latlab.domain.errors import NotEnoughData, NotReady, UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.precision import precision_of
from latlab.domain.target import Target
from search.latency.calibration import CANDIDATES, random_networks
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.kernels import kernels
from search.space.space import mnasnet_space

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TransferPrediction:
    """Latencies that were predicted from other targets.

    Attributes:
        sources: The other targets.
        errors: (measured networks,) Relative error of each network measured on the target, when
            it is predicted from the others.
        predicted: The predictions for the networks that were asked for.
    """

    sources: tuple[Target, ...]
    errors: FloatArray
    predicted: Transferred


def predict_from_other_targets(
    client: LatencyClient,
    target: Target,
    networks: Sequence[Sequence[Kernel]],
    deployment: Deployment = DEFAULT_DEPLOYMENT,
) -> TransferPrediction:
    """Predict latencies from few measurements and the predictors of other targets.

    A target's predictor is used if it knows all kinds of kernels of the networks. Measurements in
    another precision than the deployment's are left out, because targets differ in how much faster
    it makes them.

    Args:
        client: The lab.
        target: The target with few measurements.
        networks: The networks, as their kernels in execution order.
        deployment: The form of the space's networks in which the targets are compared.

    Raises:
        NotReady: No other target's predictor can be used, or too little was measured.
    """
    measured = client.measured_networks(target.id)
    once = each_once([n for n in measured if precision_of(n.kernels) is deployment.precision])
    candidates = (
        kernels(network, deployment) for network in random_networks(mnasnet_space(), CANDIDATES)
    )
    known = [*(network.kernels for network in once), *candidates]
    sources_ns = _sources_ns(client, target, [*known, *networks])
    if not sources_ns:
        raise NotReady(f"no other target has a predictor that can help {target.name}")
    columns = np.column_stack(list(sources_ns.values()))
    measured_ns = np.array([network.latency_ns for network in once])
    try:
        fitted = Transfer.fit(columns[: len(known)], np.arange(len(once)), measured_ns)
        errors = leave_one_out_errors(columns[: len(once)], measured_ns)
    except NotEnoughData as error:
        raise NotReady(
            f"{error}: measure more networks first (latlab calibrate --transfer)"
        ) from error
    return TransferPrediction(tuple(sources_ns), errors, fitted.predict(columns[len(known) :]))


def _sources_ns(
    client: LatencyClient, target: Target, networks: Sequence[Sequence[Kernel]]
) -> dict[Target, FloatArray]:
    """Return the latencies (networks,) in ns that each other target's predictor gives."""
    sources_ns: dict[Target, FloatArray] = {}
    for status in client.targets():
        if status.target == target or not status.measurements:
            continue
        try:
            estimates = client.predict(status.target.id, networks, strict=True)
        except (NotReady, UnknownKernelKinds):
            continue
        sources_ns[status.target] = np.array([float(e.latency_ns) for e in estimates])
    return sources_ns
