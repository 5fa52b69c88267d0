from __future__ import annotations

import pytest

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.profiling.kernel_text import kernel_text

IMAGE, MAP = (1, 224, 224, 3), (1, 112, 112, 32)


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (
            Kernel(k.CONV2D, (IMAGE,), MAP, (3, 3), (2, 2), activation="relu"),
            "conv2d 3x3/2 3->32 at 112x112 relu",
        ),
        (
            Kernel(k.DEPTHWISE_CONV2D, (MAP,), MAP, (5, 5), groups=32, dtype="qint8"),
            "int8 depthwise 5x5 32 at 112x112",
        ),
        (
            Kernel(k.CONV2D, (MAP,), MAP, (3, 3), dilation=2, groups=4),
            "conv2d 3x3 dilated 2 32 in 4 groups at 112x112",
        ),
        (Kernel(k.FULLY_CONNECTED, ((1, 1280),), (1, 1000)), "fully_connected 1280->1000"),
        (
            Kernel(k.FULLY_CONNECTED, ((1, 128, 768),), (1, 128, 3072)),
            "fully_connected 768->3072 at 128",
        ),
        (Kernel(k.ADD, (MAP, MAP), MAP), "add 112x112x32"),
        (Kernel("portable:erf", ((),), ()), "erf"),
        (Kernel(k.CONV2D, (), (8,)), "conv2d 8"),
        (Kernel(k.FULLY_CONNECTED, (), ()), "fully_connected"),
    ],
)
def test_a_kernel_in_a_few_words(kernel: Kernel, text: str) -> None:
    assert kernel_text(kernel) == text
