"""Judge how well the lab's other targets predict latencies on a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_models.measured_networks import each_once
from latency_models.targets.transfer import leave_one_out_errors
from latlab.client.client import LatencyClient
from latlab.domain.errors import NotEnoughData, NotReady, UnknownKernelKinds
from latlab.domain.kernel import Kernel
from latlab.domain.precision import precision_of
from latlab.domain.target import Target
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TransferErrors:
    """How well latencies are predicted from other targets.

    Attributes:
        sources: The other targets.
        errors: (measured networks,) Relative error of each network measured on the target, when
            it is predicted from the others.
    """

    sources: tuple[Target, ...]
    errors: FloatArray


def transfer_errors(
    client: LatencyClient, target: Target, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> TransferErrors:
    """Predict each network that was measured on a target from the others and from other targets.

    A target's predictor is used if it knows all kinds of kernels of the networks. Measurements in
    another precision than the deployment's are left out, because targets differ in how much faster
    it makes them.

    Args:
        client: The lab.
        target: The target with few measurements.
        deployment: The form of networks.

    Raises:
        NotReady: No other target's predictor can be used, or too little was measured.
    """
    measured = client.measured_networks(target.id)
    once = each_once([n for n in measured if precision_of(n.kernels) is deployment.precision])
    sources_ns = _sources_ns(client, target, [network.kernels for network in once])
    if not sources_ns:
        raise NotReady(f"no other target has a predictor that can help {target.name}")
    columns = np.column_stack(list(sources_ns.values()))
    measured_ns = np.array([network.latency_ns for network in once])
    try:
        errors = leave_one_out_errors(columns, measured_ns)
    except NotEnoughData as error:
        raise NotReady(
            f"{error}: measure more networks first (latlab calibrate --transfer)"
        ) from error
    return TransferErrors(tuple(sources_ns), errors)


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
