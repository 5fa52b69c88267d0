from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from latency_models.coverage import Neighbourhood
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel


def pointwise(pixels: int, in_channels: int, channels: int) -> Kernel:
    return Kernel(k.CONV2D, ((1, pixels, pixels, in_channels),), (1, pixels, pixels, channels))


@given(st.integers(1, 64), st.integers(1, 512), st.integers(1, 512))
def test_a_kernel_is_near_within_a_factor_of_two_each_way(
    pixels: int, in_channels: int, channels: int
) -> None:
    measured = Neighbourhood.of([pointwise(8, 64, 64), pointwise(1, 9999, 9999)])
    assert measured.holds([pointwise(pixels, in_channels, channels)]).tolist() == [
        32 <= pixels**2 <= 128 and 32 <= in_channels <= 128 and 32 <= channels <= 128
    ]


def test_no_other_kind_is_near() -> None:
    measured = Neighbourhood.of([pointwise(8, 64, 64)])
    same_shape = Kernel(k.DEPTHWISE_CONV2D, ((1, 8, 8, 64),), (1, 8, 8, 64))
    assert measured.holds([same_shape, pointwise(8, 64, 64)]).tolist() == [False, True]
    assert measured.holds([]).tolist() == []
