"""Networks of pytorchcv, with random weights.

pip install --no-deps 'pytorchcv>=0.0.74,<0.1'

Without --no-deps pip would install torchvision, which does not import beside this project's torch.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

_SIZES = {"inceptionv3": 299, "nin_cifar10": 32, "fastscnn_cityscapes": 256}  # in pixels; else 224

NAMES = (
    "bagnet9",
    "cbam_resnet18",
    "darknet_tiny",
    "densenet121",
    "dla34",
    "efficientnet_b0",
    "fastscnn_cityscapes",
    "ghostnet",
    "hardnet39ds",
    "igcv3_w1",
    "inceptionv3",
    "mixnet_s",
    "mobilenet_w1",
    "mobilenetv2_w1",
    "mobilenetv3_large_w1",
    "mobilenetv3_small_w1",
    "nin_cifar10",
    "peleenet",
    "preresnet18",
    "proxylessnas_mobile",
    "regnetx002",
    "regnety002",
    "resnet18",
    "resnext26_32x4d",
    "seresnet18",
    "shufflenet_g3_w1",
    "shufflenetv2_w1",
    "squeezenet_v1_1",
)


def make(name: str) -> tuple[nn.Module, Inputs]:
    """Return a network and its input's shape."""
    import torch

    size = _SIZES.get(name, 224)
    torch.manual_seed(0)
    network: nn.Module = _provider().get_model(name, in_size=(size, size)).eval()
    return network, (1, 3, size, size)


@functools.cache
def _provider() -> ModuleType:
    """Import pytorchcv with a stand-in for what one network, which is not taken, needs."""
    stand_in: Any = ModuleType("torchvision.ops")
    stand_in.DeformConv2d = object
    sys.modules[stand_in.__name__] = stand_in
    try:
        return importlib.import_module("pytorchcv.model_provider")
    finally:
        del sys.modules[stand_in.__name__]
