"""Probe networks: measured beside a space's own networks, so that a target's predictor
knows every kernel kind, not only the space's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from latlab.export import ExportSpec
from search.space.deployment import DEFAULT, INPUT_SHAPE, Deployment

if TYPE_CHECKING:
    from torch import nn

PROBES = 12


def probe_specs(deployment: Deployment = DEFAULT) -> list[ExportSpec]:
    """Always the same ones: of some 40 to 70 kernels each, and a few ms on one server core."""
    return [
        ExportSpec(f"probe {index}, input {INPUT_SHAPE}", partial(_build, index), INPUT_SHAPE)
        for index in range(PROBES)
    ]


def _build(index: int) -> nn.Module:
    """In a worker: nobody else needs to wait for torch's import."""
    from search.latency.probe_networks import build_probe

    return build_probe(index)
