"""Networks as people write them, of what the packages' networks lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latlab.domain.program import TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

_MAP = TensorSpec((1, 16, 32, 32))

# The classes of `modules` by name, with their inputs.
_NETWORKS: dict[str, tuple[str, Inputs]] = {
    "attention": ("Attention", (1, 32, 64)),
    "batch-8": ("Classifier", (8, 3, 64, 64)),
    "convolution-1d": ("Convolution1d", (1, 8, 256)),
    "convolution-3d": ("Convolution3d", (1, 1, 8, 32, 32)),
    "depthwise-only": ("DepthwiseOnly", (1, 16, 56, 56)),
    "detector": ("Detector", (1, 3, 128, 128)),
    "dict-outputs": ("DictOutputs", (1, 3, 64, 64)),
    "dilated-grouped": ("DilatedGrouped", (1, 16, 56, 56)),
    "gru": ("Gru", (1, 20, 32)),
    "keyword-inputs": ("KeywordInputs", {"scale": _MAP, "features": _MAP}),
    "lstm": ("Lstm", (1, 20, 32)),
    "mlp-gelu": ("MlpGelu", (1, 256)),
    "super-resolution": ("SuperResolution", (1, 3, 48, 48)),
    "transformer-encoder": ("TransformerEncoder", (1, 32, 64)),
    "two-inputs": ("TwoInputs", (TensorSpec((1, 3, 64, 64)), TensorSpec((1, 10)))),
    "unet": ("UNet", (1, 3, 64, 64)),
}

NAMES = tuple(_NETWORKS)


def make(name: str) -> tuple[nn.Module, Inputs]:
    """Return a network and its inputs."""
    import torch

    from tests.bench.corpus import modules

    kind, inputs = _NETWORKS[name]
    torch.manual_seed(0)
    network: nn.Module = getattr(modules, kind)().eval()
    return network, inputs
