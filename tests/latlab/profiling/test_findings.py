"""Findings of profiles with one defect, built from the kernels that such networks really have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain import kernel as k
from latlab.domain.estimate import Footprint
from latlab.domain.kernel import Kernel, Shape
from latlab.profiling.findings import Finding, FindingKind, Processor, findings
from latlab.profiling.profile import Profile, ProfileRow, Span

MAP = (1, 48, 48, 32)  # an image as XNNPACK has it
PLANES = (1, 32, 48, 48)  # the same as PyTorch has it
CONV_US = 380.0
SERVER = Processor(vector_floats=16)

Timed = tuple[Kernel, float]


def conv(
    inputs: Shape = MAP,
    channels: int = 32,
    kind: str = k.CONV2D,
    activation: str = "relu",
    **other: Any,  # noqa: ANN401 -- as Kernel has them
) -> Kernel:
    return Kernel(
        kind,
        (inputs,),
        (*inputs[:-1], channels),
        **{"kernel_size": (3, 3), "activation": activation, **other},
    )


def unary(kind: str, shape: Shape = MAP, dtype: str = "float32") -> Kernel:
    return Kernel(kind, (shape,), shape, dtype=dtype)


def transpose(inputs: Shape, output: Shape) -> Kernel:
    return Kernel(k.TRANSPOSE, (inputs,), output)


IN = transpose((1, 3, 48, 48), (1, 48, 48, 3)), 3.0
OUT = transpose(MAP, PLANES), 10.0
BACK = transpose(PLANES, MAP), 10.0
STEM = conv((1, 48, 48, 3)), 40.0
CONV = conv(), CONV_US
LINEAR_CONV = conv(activation=""), CONV_US


def profile(rows: Sequence[Timed], rest_us: float = 0.0, noise: float = 0.02) -> Profile:
    total_us = sum(us for _, us in rows) + rest_us
    return Profile(
        network="net",
        target="target",
        latency=_span(total_us, noise),
        rows=tuple(
            ProfileRow(kernel, 1e3 * us, 1e3 * us * (1 - noise), 1e3 * us * (1 + noise))
            for kernel, us in rows
        ),
        rest=_span(rest_us, noise),
        tracing=None,
        is_predicted=False,
        footprint=Footprint(1),
    )


def _span(us: float, noise: float) -> Span:
    return Span(1e3 * us, 1e3 * us * (1 - noise), 1e3 * us * (1 + noise))


def found(rows: Sequence[Timed], **other: float) -> dict[FindingKind, Finding]:
    return {each.kind: each for each in findings(profile(rows, **other), SERVER)}


def test_a_healthy_network_has_none() -> None:
    assert findings(profile([IN, STEM, CONV, CONV, OUT]), SERVER) == []


def test_a_network_without_rows_has_none() -> None:
    assert findings(profile([], rest_us=100.0), SERVER) == []


def test_an_operator_outside_the_delegate_costs_nearly_its_time() -> None:
    norm = unary("portable:native_group_norm", PLANES), 150.0
    finding = found([IN, STEM, OUT, norm, BACK, CONV, OUT])[FindingKind.OUTSIDE]
    assert finding.rows == (3,)
    assert finding.cost.time_ns == 150_000
    assert "native_group_norm" in finding.what
    assert "BatchNorm2d" in finding.remedy


def test_an_operator_that_is_replaced_by_others_costs_less_than_its_time() -> None:
    softmax = unary("portable:_softmax", PLANES), 700.0
    finding = found([IN, STEM, OUT, softmax, BACK, CONV, OUT])[FindingKind.OUTSIDE]
    assert 500_000 < finding.cost.time_ns < 700_000
    assert finding.cost.lower_ns < finding.cost.time_ns < finding.cost.upper_ns


def test_a_layer_norm_of_a_sequence_is_not_replaced_by_one_of_images() -> None:
    norm = unary("portable:native_layer_norm", (1, 128, 256)), 150.0
    layer = Kernel(k.FULLY_CONNECTED, ((1, 128, 256),), (1, 128, 256)), 400.0
    assert "BatchNorm2d" not in found([layer, norm, layer])[FindingKind.OUTSIDE].remedy


def test_conversions_around_an_operator_outside_are_found_but_not_the_networks_own() -> None:
    norm = unary("portable:native_group_norm", PLANES), 150.0
    finding = found([IN, STEM, OUT, norm, BACK, CONV, OUT])[FindingKind.LAYOUT]
    assert finding.rows == (2, 4)
    assert finding.cost.time_ns == 20_000


def test_conversions_for_arithmetic_within_one_call_are_found() -> None:
    add = Kernel(k.ADD, (PLANES, (1,)), PLANES), 3.0
    clamp = unary(k.CLAMP, PLANES), 3.0
    finding = found([IN, STEM, OUT, add, clamp, BACK, CONV, OUT])[FindingKind.LAYOUT]
    assert finding.rows == (2, 5)
    assert "Hardswish" in finding.remedy


def test_conversions_of_a_pixel_shuffle_are_none() -> None:
    split = Kernel(k.RESHAPE, (PLANES,), (1, 8, 2, 2, 48, 48)), 5.0
    joined = Kernel(k.RESHAPE, ((1, 8, 48, 2, 48, 2),), (1, 8, 96, 96)), 5.0
    swapped = Kernel(k.TRANSPOSE, ((1, 8, 2, 2, 48, 48),), (1, 8, 48, 2, 48, 2)), 20.0
    back = transpose((1, 8, 96, 96), (1, 96, 96, 8)), 10.0
    rows = [IN, STEM, CONV, OUT, split, swapped, joined, back, (conv((1, 96, 96, 8), 8), 400.0)]
    assert found(rows) == {}


def test_two_transposes_in_a_row_are_found() -> None:
    first = transpose(MAP, (1, 48, 32, 48)), 12.0
    second = transpose((1, 48, 32, 48), MAP), 10.0
    mixed = Kernel(k.FULLY_CONNECTED, (MAP,), MAP), 48.0
    finding = found([IN, STEM, first, second, mixed, CONV, OUT])[FindingKind.LAYOUT]
    assert finding.rows == (2, 3)
    assert "kernel_size=1" in finding.remedy


def test_an_image_that_passes_a_break_is_found_with_a_part_of_the_rest() -> None:
    gate = unary("portable:erf", (1, 32, 1, 1)), 1.0
    product = Kernel(k.MULTIPLY, (PLANES, (1, 32, 1, 1)), PLANES), 7.0
    rows = [IN, STEM, OUT, gate, product, BACK, CONV, OUT]
    finding = found(rows, rest_us=40.0)[FindingKind.BROKEN]
    assert finding.rows == (2, 5)
    assert 20_000 < finding.cost.time_ns < 60_000
    assert found(rows)[FindingKind.BROKEN].cost.time_ns == 20_000


@pytest.mark.parametrize(
    "operator", ["avg_pool2d", "max_pool2d_with_indices", "_adaptive_avg_pool2d"]
)
def test_a_pooling_outside_the_delegate_is_a_variant(operator: str) -> None:
    pool = Kernel(f"portable:{operator}", (PLANES,), (1, 32, 24, 24)), 4_000.0
    back = transpose((1, 32, 24, 24), (1, 24, 24, 32)), 5.0
    finding = found([IN, STEM, OUT, pool, back, (conv((1, 24, 24, 32)), 95.0)])[FindingKind.VARIANT]
    assert finding.rows == (3,)
    assert finding.cost.time_ns > 3_900_000


def test_a_reflected_padding_is_a_variant() -> None:
    rows_padded = Kernel("portable:index", (PLANES,), (1, 32, 50, 48)), 10.0
    padded = Kernel("portable:index", ((1, 32, 50, 48),), (1, 32, 50, 50)), 220.0
    back = transpose((1, 32, 50, 50), (1, 50, 50, 32)), 9.0
    finding = found([IN, STEM, OUT, rows_padded, padded, back, CONV, OUT])[FindingKind.VARIANT]
    assert finding.rows == (3, 4)
    assert 'padding_mode="zeros"' in finding.remedy


def test_an_index_that_does_not_pad_is_only_outside() -> None:
    index = Kernel("portable:index", (PLANES,), PLANES), 220.0
    kinds = found([IN, STEM, OUT, index, BACK, CONV, OUT])
    assert FindingKind.OUTSIDE in kinds
    assert FindingKind.VARIANT not in kinds


def test_an_activation_after_a_convolution_is_found() -> None:
    finding = found([IN, STEM, LINEAR_CONV, (unary("gelu"), 20.0), CONV, OUT])[
        FindingKind.ACTIVATION
    ]
    assert finding.rows == (3,)
    assert finding.cost.time_ns == 20_000
    assert "GELU" in finding.what


def test_both_kernels_of_a_silu_are_one_activation() -> None:
    product = Kernel(k.MULTIPLY, (MAP, MAP), MAP), 6.0
    finding = found([IN, STEM, LINEAR_CONV, (unary(k.SIGMOID), 15.0), product, CONV, OUT])[
        FindingKind.ACTIVATION
    ]
    assert finding.rows == (3, 4)


def test_equal_defects_are_one_finding() -> None:
    block = [LINEAR_CONV, (unary("gelu"), 20.0)]
    finding = found([IN, STEM, *block, *block, OUT])[FindingKind.ACTIVATION]
    assert finding.rows == (3, 5)
    assert finding.cost.time_ns == 40_000


def test_a_sigmoid_that_gates_is_no_activation() -> None:
    gate = Kernel(k.MULTIPLY, (MAP, (1, 1, 1, 32)), MAP), 10.0
    pool = Kernel(k.GLOBAL_AVG_POOL2D, (MAP,), (1, 1, 1, 32)), 3.0
    squeeze = conv((1, 1, 1, 32), activation="", kernel_size=(1, 1)), 1.0
    rows = [IN, STEM, pool, squeeze, (unary(k.SIGMOID, (1, 1, 1, 32)), 9.0), gate, CONV, OUT]
    assert found(rows) == {}


def test_a_batch_normalization_that_is_not_folded_is_found() -> None:
    norm = conv(kind=k.DEPTHWISE_CONV2D, kernel_size=(1, 1), groups=32), 15.0
    finding = found([IN, STEM, norm, CONV, OUT])[FindingKind.BATCH_NORM]
    assert finding.rows == (2,)
    assert finding.cost.time_ns == 15_000


def test_channels_just_above_a_vector_are_found() -> None:
    wide = conv(channels=34), CONV_US * 2
    finding = found([IN, STEM, wide, CONV])[FindingKind.CHANNELS]
    assert finding.rows == (2,)
    assert "32" in finding.remedy


@pytest.mark.parametrize("channels", [16, 30, 32, 45, 48, 64])
def test_channels_that_nearly_fill_their_vectors_are_none(channels: int) -> None:
    assert found([IN, STEM, (conv(channels=channels), CONV_US * 2), CONV]) == {}


def test_the_channels_of_the_last_layer_are_no_finding() -> None:
    assert found([IN, STEM, CONV, (conv(channels=21, kernel_size=(1, 1)), 90.0)]) == {}


def test_narrow_groups_are_found_by_their_time() -> None:
    narrow = conv(groups=16), 270.0
    finding = found([IN, STEM, CONV, narrow, OUT])[FindingKind.GROUPS]
    assert finding.rows == (3,)
    assert finding.cost.time_ns < 270_000
    assert found([IN, STEM, CONV, (conv(groups=16), 40.0), OUT]) == {}


def test_a_depthwise_convolution_with_more_outputs_than_inputs_is_found() -> None:
    depthwise = conv(kind=k.DEPTHWISE_CONV2D, groups=32), 45.0
    doubled = conv(channels=64, kind=k.DEPTHWISE_CONV2D, groups=32), 400.0
    assert FindingKind.GROUPS in found([IN, STEM, depthwise, CONV, doubled])


def test_large_weights_that_are_used_once_are_found() -> None:
    layer = Kernel(k.FULLY_CONNECTED, ((1, 8192),), (1, 1024)), 1_500.0
    finding = found([IN, STEM, CONV, layer])[FindingKind.WEIGHTS]
    assert finding.rows == (3,)
    assert 0 < finding.cost.lower_ns < finding.cost.time_ns < 1_500_000


def test_weights_in_the_cache_are_no_finding() -> None:
    layer = Kernel(k.FULLY_CONNECTED, ((1, 8192),), (1, 1024)), 1_500.0
    large = Processor(8, cache_bytes=64 * 2**20)
    assert findings(profile([IN, STEM, CONV, layer]), large) == []


def test_a_transposed_convolution_is_found_where_it_is_slow() -> None:
    spread = Kernel(k.CONV_TRANSPOSE2D, (MAP,), (1, 96, 96, 32), (4, 4), (2, 2))
    finding = found([IN, STEM, CONV, (spread, 1_280.0), OUT])[FindingKind.CONVOLUTION]
    assert finding.rows == (3,)
    assert "Upsample" in finding.remedy
    assert found([IN, STEM, CONV, (spread, 400.0)]) == {}


def test_a_dilated_convolution_is_found_only_where_it_is_slow() -> None:
    assert found([IN, STEM, CONV, (conv(dilation=2), CONV_US)]) == {}
    slow = conv(dilation=2), CONV_US * 3
    assert FindingKind.CONVOLUTION in found([IN, STEM, CONV, slow])


def test_a_float_island_in_an_int8_program_is_found() -> None:
    int8 = conv(dtype="qint8", activation=""), 110.0
    there, back = (unary(k.CONVERT), 5.0), (unary(k.CONVERT, dtype="qint8"), 4.0)
    pool = unary("static_resize_bilinear2_d"), 110.0
    into = unary(k.CONVERT, (1, 3, 48, 48), "qint8"), 1.0
    finding = found([into, int8, there, pool, back, int8, there])[FindingKind.FLOAT_ISLAND]
    assert finding.rows == (2, 3, 4)
    assert "static_resize_bilinear2_d" in finding.what


def test_an_int8_program_without_islands_has_no_finding() -> None:
    int8 = conv(dtype="qint8"), 110.0
    ends = (unary(k.CONVERT, dtype="qint8"), 5.0), (unary(k.CONVERT), 5.0)
    assert found([ends[0], int8, int8, ends[1]]) == {}


def test_dynamic_quantization_is_found() -> None:
    quantized = unary(k.CONVERT, (64, 512), "qdint8"), 10.0
    layer = Kernel(k.FULLY_CONNECTED, ((64, 512),), (64, 512)), 90.0
    assert found([quantized, layer])[FindingKind.EVERY_CALL].rows == (0,)


def test_resizing_the_input_is_found_with_its_larger_conversion() -> None:
    large = transpose((1, 3, 240, 320), (1, 240, 320, 3)), 120.0
    resize = Kernel("static_resize_bilinear2_d", ((1, 240, 320, 3),), (1, 48, 48, 3)), 50.0
    finding = found([large, resize, STEM, CONV, OUT])[FindingKind.EVERY_CALL]
    assert finding.rows == (0, 1)


def test_resizing_later_in_a_network_is_no_finding() -> None:
    resize = Kernel("static_resize_bilinear2_d", (MAP,), (1, 96, 96, 32)), 120.0
    assert found([IN, STEM, resize, (conv((1, 96, 96, 32)), CONV_US * 4)]) == {}


def test_small_findings_are_left_out() -> None:
    tiny = unary("gelu"), 0.4
    assert found([IN, STEM, LINEAR_CONV, tiny, CONV, OUT]) == {}


def test_a_finding_that_may_gain_nothing_is_left_out() -> None:
    norm = unary("portable:_softmax", PLANES), 35.0  # about as fast as inside the delegate
    kinds = found([IN, STEM, OUT, norm, BACK, CONV, OUT])
    assert FindingKind.LAYOUT in kinds
    assert FindingKind.OUTSIDE not in kinds


def test_costs_are_scaled_where_traced_kernels_exceed_the_latency() -> None:
    rows = [IN, STEM, LINEAR_CONV, (unary("gelu"), 100.0), CONV, OUT]
    slow = profile(rows)
    latency = Span(*(ns / 2 for ns in (slow.latency.time_ns,) * 3))
    fast = Profile(
        "net", "target", latency, slow.rows, slow.rest, None, is_predicted=False,
        footprint=Footprint(1),
    )  # fmt: skip
    assert findings(fast, SERVER)[0].cost.time_ns == pytest.approx(50_000)


@pytest.mark.parametrize(("floats", "cache_bytes"), [(0, 1), (8, 0)])
def test_a_processor_without_size_is_refused(floats: int, cache_bytes: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Processor(floats, cache_bytes)


def test_an_instruction_set_says_how_wide_vectors_are_at_least() -> None:
    assert Processor.of_abi("x86_64").vector_floats == 16
    assert Processor.of_abi("aarch64").vector_floats == 4


shapes = st.one_of(
    st.sampled_from(
        [MAP, PLANES, (1, 32, 1, 1), (1, 1, 1, 32), (1, 64), (), (1,), (1, 50, 50, 32)]
    ),
    st.lists(st.integers(1, 64), max_size=5).map(tuple),
)
kinds = st.sampled_from(
    [
        k.CONV2D, k.DEPTHWISE_CONV2D, k.CONV_TRANSPOSE2D, k.FULLY_CONNECTED, k.TRANSPOSE, k.CONVERT,
        k.SIGMOID, k.MULTIPLY, k.ADD, k.CLAMP, k.RESHAPE, "gelu", "static_resize_bilinear2_d",
        "static_slice", "portable:index", "portable:avg_pool2d", "portable:erf", "portable:copy",
        "portable:dim_order_ops::_empty_dim_order", "portable:upsample_nearest2d",
        "portable:quantized_decomposed::dequantize_per_tensor", "delegate:OtherBackend",
    ]
)  # fmt: skip
pairs = st.tuples(st.integers(1, 8), st.integers(1, 8))
kernels = st.builds(
    Kernel,
    kind=kinds,
    inputs=st.lists(shapes, max_size=3).map(tuple),
    output=shapes,
    kernel_size=pairs,
    stride=pairs,
    dilation=st.integers(1, 3),
    groups=st.integers(1, 40),
    activation=st.sampled_from(["", "relu"]),
    dtype=st.sampled_from(["float32", "qint8", "qdint8", "int64", "bool"]),
)
timed = st.lists(st.tuples(kernels, st.floats(0, 10_000)), max_size=12)


@given(timed, st.floats(0, 1_000), st.floats(0.1, 10))
def test_findings_fit_any_profile(rows: list[Timed], rest_us: float, latency_factor: float) -> None:
    shown = profile(rows, rest_us + 1.0)
    latency_ns = shown.latency.time_ns * latency_factor
    whole = Profile(
        "net", "target", Span(latency_ns, latency_ns, latency_ns), shown.rows, shown.rest, None,
        is_predicted=False, footprint=Footprint(1),
    )  # fmt: skip
    results = findings(whole, SERVER)
    costs = [each.cost.time_ns for each in results]
    claimed = [place for each in results for place in each.rows]
    assert costs == sorted(costs, reverse=True)
    assert sum(costs) <= latency_ns * (1 + 1e-9)
    assert all(cost >= 0.005 * latency_ns for cost in costs)
    assert len(claimed) == len(set(claimed))
    assert all(0 <= place < len(rows) for place in claimed)
    for each in results:
        assert 0 < each.cost.lower_ns <= each.cost.time_ns <= each.cost.upper_ns
        assert math.isfinite(each.cost.upper_ns)
        assert each.what.endswith(".")
        assert each.remedy.endswith(".")
