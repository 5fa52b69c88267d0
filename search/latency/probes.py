"""Probe networks, which a calibration measures beside networks of the space.

They have every kind of kernel, so that the target's predictor knows more kinds than the space has.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from latlab.domain.kernel import Shape
from latlab.export import ExportSpec
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment

if TYPE_CHECKING:
    from torch import nn

PROBES = 12
EDITION = 3  # grows whenever the probes change, so that no other edition's program is taken


def probe_specs(deployment: Deployment = DEFAULT_DEPLOYMENT) -> list[ExportSpec]:
    """Return the probe networks for a deployment, the same ones every time.

    Each takes a few ms on one server core and, at 224 pixels, has 40 to 70 kernels.
    """
    return [
        ExportSpec(
            f"probe {index} of edition {EDITION}, "
            f"input {deployment.input_shape}{deployment.in_precision}",
            partial(_make, index, deployment),
            deployment.precision,
        )
        for index in range(PROBES)
    ]


def _make(index: int, deployment: Deployment) -> tuple[nn.Module, Shape]:
    # This runs in an export worker, so that no other process imports torch.
    from search.latency.probe_networks import build_probe

    return build_probe(index, deployment.resolution), deployment.input_shape
