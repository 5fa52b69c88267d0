from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latency_models.features import coordinates, cost_terms, moved_bytes
from latlab.domain import kernel as k
from latlab.domain.kernel import DELEGATED_KINDS, Kernel
from search.space.kernels import kernels
from search.space.zoo import ZOO

SHAPES = st.lists(st.integers(0, 300), max_size=4).map(tuple)
KERNELS = st.builds(
    Kernel,
    st.sampled_from(
        [
            *sorted(DELEGATED_KINDS),
            k.CONV_TRANSPOSE2D,
            k.BATCH_MATRIX_MULTIPLY,
            "portable:aten.mean.out",
        ]
    ),
    st.lists(SHAPES, max_size=2).map(tuple),
    SHAPES,
    kernel_size=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    groups=st.integers(0, 64),
)


def convolution(pixels: int, in_channels: int, channels: int, size: int = 1) -> Kernel:
    return Kernel(
        k.CONV2D,
        ((1, pixels, pixels, in_channels),),
        (1, pixels, pixels, channels),
        kernel_size=(size, size),
    )


@pytest.mark.parametrize(
    ("name", "millions"), [("mnasnet-a1", 311.6), ("mnasnet-b1", 314.4), ("mobilenet-v2", 300.8)]
)
def test_multiply_adds_of_published_networks(name: str, millions: float) -> None:
    total = sum(kernel.multiply_adds for kernel in kernels(ZOO[name]))
    assert total / 1e6 == pytest.approx(millions, abs=0.1)


def test_multiply_adds_of_products_of_matrices_and_transposed_convolutions() -> None:
    product = Kernel(k.BATCH_MATRIX_MULTIPLY, ((12, 128, 64), (12, 64, 96)), (12, 128, 96))
    assert product.multiply_adds == 12 * 128 * 64 * 96
    doubling = Kernel(
        k.CONV_TRANSPOSE2D,
        ((1, 8, 8, 32),),
        (1, 17, 17, 16),
        kernel_size=(3, 3),
        stride=(2, 2),
        groups=2,
    )
    assert doubling.multiply_adds == 8 * 8 * 32 * 3 * 3 * 16 // 2
    assert Kernel("softmax", ((1, 8),), (1, 8)).multiply_adds == 0


def test_the_traffic_of_a_kernel_follows_its_dtype() -> None:
    bytes_by_dtype = {
        dtype: moved_bytes([Kernel(k.ADD, ((8,), (8,)), (8,), dtype=dtype)])
        for dtype in ("int64", "float32", "float16", "qint8", "bool")
    }
    assert [moved / 24 for moved in bytes_by_dtype.values()] == [8, 4, 2, 1, 1]


@given(KERNELS)
@example(Kernel(k.CONV2D, (), (0, 2)))
def test_every_kernel_has_finite_features_however_odd_its_shapes(kernel: Kernel) -> None:
    terms = cost_terms(kernel)
    assert terms[0] == 1.0
    assert np.isfinite(terms).all()
    assert min(terms) >= 0
    assert np.isfinite(coordinates(kernel)).all()


@given(st.integers(1, 112), st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3, 5]))
def test_more_channels_never_cost_less(
    pixels: int, in_channels: int, channels: int, size: int
) -> None:
    smaller = convolution(pixels, in_channels, channels, size)
    for larger in (
        convolution(pixels, in_channels + 1, channels, size),
        convolution(pixels, in_channels, channels + 1, size),
        convolution(pixels + 1, in_channels, channels, size),
    ):
        assert np.all(np.array(cost_terms(larger)) >= np.array(cost_terms(smaller)) * (1 - 1e-9))


def test_channels_beside_a_tile_pay_for_the_whole_tile() -> None:
    below, at, beyond = (cost_terms(convolution(14, 64, channels)) for channels in (31, 32, 33))
    assert below[3] == at[3] < beyond[3]


def test_small_images_pay_for_a_whole_tile_of_pixels() -> None:
    one, four, many = (cost_terms(convolution(side, 64, 64)) for side in (1, 2, 14))
    assert one[3] == four[3] < many[3]


def test_groups_pay_for_a_tile_each() -> None:
    whole = convolution(14, 80, 80, 3)
    grouped = replace(whole, groups=4)  # each of 20 channels, in tiles of 32
    assert cost_terms(whole)[6] / whole.multiply_adds == 96 / 80
    assert cost_terms(grouped)[6] / grouped.multiply_adds == 32 / 20


def test_products_of_matrices_are_apart_from_other_convolutions() -> None:
    product, strided = convolution(14, 64, 64), replace(convolution(14, 64, 64), stride=(2, 2))
    assert not any(cost_terms(product)[4:7])
    assert not any(cost_terms(strided)[1:4])
    assert not any(cost_terms(convolution(14, 64, 64, 3))[1:4])


@given(st.integers(1, 112), st.integers(1, 400))
def test_a_narrower_dtype_moves_fewer_bytes(pixels: int, channels: int) -> None:
    wide = convolution(pixels, channels, channels)
    narrow = cost_terms(replace(wide, dtype="float16"))
    assert np.all(np.array(narrow) <= np.array(cost_terms(wide)))
    assert sum(narrow) < sum(cost_terms(wide))


def test_a_concatenation_pays_for_each_piece_it_copies() -> None:
    output = (1, 28, 28, 64)
    pieces = [Kernel(k.CONCATENATE, ((1, 28, 28, 64 // n),) * n, output) for n in (2, 4)]
    two, four = map(cost_terms, pieces)
    assert 2 * two[4] == four[4]


def test_groups_divide_the_work() -> None:
    whole = convolution(14, 64, 64, 3)
    assert replace(whole, groups=8).multiply_adds * 8 == whole.multiply_adds
