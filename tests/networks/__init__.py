"""Six published networks outside the searched space, written from their papers in plain
PyTorch: each takes (batch, 3, 224, 224) and gives logits (batch, 1000), in evaluation mode
and with seeded weights.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from tests.networks.efficientnet import EfficientNetB0
from tests.networks.mobilenet_v2 import MobileNetV2
from tests.networks.mobilenet_v3 import MobileNetV3Small
from tests.networks.resnet import ResNet18
from tests.networks.shufflenet_v2 import ShuffleNetV2
from tests.networks.squeezenet import SqueezeNet

INPUT_SHAPE = (1, 3, 224, 224)

NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "mobilenet-v2": MobileNetV2,
    "mobilenet-v3-small": MobileNetV3Small,
    "resnet-18": ResNet18,
    "squeezenet-1.1": SqueezeNet,
    "efficientnet-b0": EfficientNetB0,
    "shufflenet-v2": ShuffleNetV2,
}

PARAMETERS: Mapping[str, int] = {
    "mobilenet-v2": 3_504_872,
    "mobilenet-v3-small": 2_542_856,
    "resnet-18": 11_689_512,
    "squeezenet-1.1": 1_235_496,
    "efficientnet-b0": 5_288_548,
    "shufflenet-v2": 2_278_604,
}


def build(name: str, *, seed: int = 0) -> nn.Module:
    """Weights are normal with variance 2 / fan-in, so that values neither grow nor fade."""
    with torch.device("meta"):  # PyTorch's own initialisation would be thrown away
        network = NETWORKS[name]()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return network.eval()
