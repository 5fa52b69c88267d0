from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_models.alignment import align, match
from latlab.domain import kernel as k
from latlab.domain.errors import TraceMismatch
from latlab.domain.kernel import Kernel

NETWORK = (
    Kernel(k.TRANSPOSE, ((1, 3, 8, 8),), (1, 8, 8, 3)),
    Kernel(k.CONV2D, ((1, 8, 8, 3),), (1, 4, 4, 16), (3, 3), (2, 2), activation="relu"),
    Kernel(k.DEPTHWISE_CONV2D, ((1, 4, 4, 16),), (1, 4, 4, 16), (5, 5), groups=16),
    Kernel(k.CONV2D, ((1, 4, 4, 16),), (1, 4, 4, 8)),
    Kernel(k.GLOBAL_AVG_POOL2D, ((1, 4, 4, 8),), (1, 1, 1, 8)),
    Kernel(k.TRANSPOSE, ((1, 1, 1, 8),), (1, 8, 1, 1)),
    Kernel("portable:aten.mean.out", ((1, 8, 1, 1),), (1, 8)),
    Kernel(k.FULLY_CONNECTED, ((1, 8),), (1, 10)),
)
# A runner reported these. XNNPACK runs a 1×1 convolution as a fully connected kernel.
NAMES = (
    "Transpose (ND, X32) #1",
    "Convolution (NHWC, F32) IGEMM #1",
    "Convolution (NHWC, F32) DWConv #1",
    "Fully Connected (NC, F32) GEMM #1",
    "Mean (ND) Reduce2 #1",
    "Transpose (ND, X32) #2",
    "native_call_mean.out",
    "Fully Connected (NC, F32) GEMM #1",
)
POSITIONS = st.integers(0, len(NETWORK) - 1)


def trace(runs: int = 3) -> list[tuple[str, list[int]]]:
    return [(name, [1_000 * (i + 1)] * runs) for i, name in enumerate(NAMES)]


def test_a_trace_gives_each_kernel_its_own_time() -> None:
    assert align(NETWORK, trace()) == tuple(1_000.0 * (i + 1) for i in range(len(NETWORK)))


def test_the_places_of_kernels_in_a_trace_are_known() -> None:
    shape = (1, 8, 8, 16)
    kernels = (
        Kernel(k.CLAMP, (shape,), shape),  # fused
        Kernel(k.ADD, (shape, shape), shape, activation="relu"),  # split
        Kernel(k.HARDSWISH, (shape,), shape),
    )
    assert match(kernels, ["Add (ND, F32)", "Clamp (NC, F32)", "HardSwish (NC, F32)"]) == (
        (),
        (0, 1),
        (2,),
    )
    assert match(NETWORK, NAMES) == tuple((i,) for i in range(len(NETWORK)))


def test_kernels_that_pack_their_input_keep_their_names() -> None:
    """XNNPACK calls the kernels for Arm's SME "Fully Connected (NC, PF32) GEMM", for example."""
    packed = [(name.replace(" F32)", " PF32)"), durations_ns) for name, durations_ns in trace()]
    assert packed != trace()
    assert align(NETWORK, packed) == align(NETWORK, trace())


def test_int8_programs_tabulate_operators_of_one_input() -> None:
    shape = (1, 1, 1, 16)
    kernels = (
        Kernel(k.CONVERT, (shape,), shape, dtype="qint8"),
        Kernel(k.CONV2D, (shape,), shape, dtype="qint8"),
        Kernel(k.SIGMOID, (shape,), shape, dtype="qint8"),
        Kernel(k.MULTIPLY, (shape, shape), shape, dtype="qint8"),
    )
    names = (
        "Convert (NC) #1",
        "Fully Connected (NC, QS8, QC8W) GEMM #1",
        "Invalid Unary Op #1",
        "Multiply (ND) #1",
    )
    traces = [(name, [1_000 * (i + 1)]) for i, name in enumerate(names)]
    assert align(kernels, traces) == (1_000, 2_000, 3_000, 4_000)
    traces[2], traces[3] = traces[3], traces[2]
    with pytest.raises(TraceMismatch, match="position 2"):
        align(kernels, traces)


@given(POSITIONS, POSITIONS)
def test_the_first_kernel_of_another_kind_is_named_with_its_position(one: int, other: int) -> None:
    traces = trace()
    traces[one] = traces[other] = ("Softmax (NC, F32)", [1])
    first = min(one, other)
    with pytest.raises(TraceMismatch) as raised:
        align(NETWORK, traces)
    assert f"position {first}: expected {NETWORK[first]}, the trace has Softmax" in str(
        raised.value
    )


@given(POSITIONS)
def test_a_missing_kernel_and_one_too_many_are_mismatches(position: int) -> None:
    traces = trace()
    with pytest.raises(TraceMismatch):
        align(NETWORK, traces[:position] + traces[position + 1 :])
    with pytest.raises(TraceMismatch):
        align(NETWORK[:position] + NETWORK[position + 1 :], traces)


def test_a_kernel_without_runs_is_a_mismatch() -> None:
    with pytest.raises(TraceMismatch, match="no durations"):
        align(NETWORK, trace(runs=0))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (k.HARDSWISH, "HardSwish (NC) #1"),
        (k.CONCATENATE, "Copy (NC, X32) #2"),
        (k.CONSTANT_PAD, "Constant Pad (ND, X32) #1"),
        (k.MAX_POOL2D, "Max Pooling (NHWC, F32) #1"),
        (k.RESHAPE, "Static Reshape (NC) #1"),
        ("static_slice", "Slice (ND, X32) #1"),
        ("reciprocal_square_root", "Reciprocal Square Root (NC) #1"),
        ("leaky_re_lu", "LeakyReLU (NC) #1"),
        ("div", "Divide (ND) #1"),
    ],
)
def test_kinds_align_by_what_xnnpack_calls_them(kind: str, name: str) -> None:
    kernel = Kernel(kind, ((1, 8),), (1, 8))
    assert align([kernel], [(name, [7])]) == (7.0,)
    with pytest.raises(TraceMismatch):
        align([kernel], [("Softmax (NC, F32) #1", [7])])


def test_clamps_that_the_runtime_fuses_and_activations_that_it_splits_off() -> None:
    shape = (1, 4, 4, 8)
    pool = Kernel(k.AVG_POOL2D, (shape,), shape, (3, 3))
    clamp = Kernel(k.CLAMP, (shape,), shape, activation="relu6")
    add = Kernel(k.ADD, (shape, shape), shape, activation="relu")
    pooling, adding = ("Average Pooling (NHWC, F32) #1", [5_000]), ("Add (ND) #1", [3_000])
    clamping = ("Clamp (NC) #1", [2_000])
    assert align([pool, clamp, add], [pooling, adding, clamping]) == (5_000, 0, 5_000)
    assert align([pool, clamp, add], [pooling, clamping, adding]) == (5_000, 2_000, 3_000)
    with pytest.raises(TraceMismatch, match="position 1: expected no more kernels"):
        align([pool], [pooling, clamping])


def test_a_reshape_after_a_reshape_and_a_product_with_a_table_s_sigmoid_take_no_time() -> None:
    shape = (1, 4, 4, 8)
    kernels = (
        Kernel(k.RESHAPE, ((1, 4, 32),), (1, 128)),
        Kernel(k.RESHAPE, ((1, 128),), shape),
        Kernel(k.SIGMOID, (shape,), shape, dtype="qint8"),
        Kernel(k.MULTIPLY, (shape, shape), shape, dtype="qint8"),
        Kernel(k.CONV2D, (shape,), shape, dtype="qint8"),
    )
    names = (
        "Static Reshape (NC) #1",
        "Invalid Unary Op #1",
        "Fully Connected (NC, QS8, QC8W) GEMM #1",
    )
    fused = [(name, [1_000 * (i + 1)]) for i, name in enumerate(names)]
    assert align(kernels, fused) == (1_000, 0, 2_000, 0, 3_000)
    apart = [*fused[:1], ("Static Reshape (NC) #2", [7_000]), *fused[1:]]
    apart.insert(3, ("Multiply (ND) #1", [9_000]))
    assert align(kernels, apart) == (1_000, 7_000, 2_000, 9_000, 3_000)
    in_float32 = [replace(kernel, dtype="float32") for kernel in kernels]
    with pytest.raises(TraceMismatch, match="position 3: expected multiply"):
        align(in_float32, fused)


def test_dynamic_quantization_inside_a_layer_takes_no_time() -> None:
    shape = (16, 512)
    kernels = (
        Kernel(k.CONVERT, (shape,), shape, dtype="qdint8"),
        Kernel(k.FULLY_CONNECTED, (shape,), shape),
    )
    layer = ("Fully Connected (NC, QDU8, F32, QC8W) GEMM #1", [25_000])
    assert align(kernels, [layer]) == (0.0, 25_000.0)
    assert align(kernels, [("Convert (NC, F32, QD8) #1", [7_000]), layer]) == (7_000.0, 25_000.0)


def test_a_pad_that_the_runtime_fuses_into_a_convolution_took_no_time() -> None:
    pad = Kernel(k.CONSTANT_PAD, ((1, 4, 4, 8),), (1, 5, 5, 8))
    convolution = Kernel(k.CONV2D, ((1, 5, 5, 8),), (1, 2, 2, 8), (3, 3), (2, 2))
    convolving = ("Convolution (NHWC, F32) IGEMM #1", [5_000])
    padding = ("Constant Pad (ND, X32) #1", [2_000])
    assert align([pad, convolution], [convolving]) == (0, 5_000)
    assert align([pad, convolution], [padding, convolving]) == (2_000, 5_000)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("mean", "native_call_mean.out"),
        ("aten.mean.out", "native_call_mean.out"),
        ("aten::mean.out", "native_call_mean.out"),
        ("aten.mean.dim", "native_call_mean.out"),
        ("dim_order_ops._to_dim_order_copy.out", "native_call__to_dim_order_copy.out"),
    ],
)
def test_portable_operators_align_by_the_operator(kind: str, name: str) -> None:
    kernel = Kernel(f"portable:{kind}", ((1, 8),), (1,))
    assert align([kernel], [(name, [7])]) == (7.0,)
    with pytest.raises(TraceMismatch):
        align([kernel], [("native_call_cat.out", [7])])


@given(
    st.floats(0.05, 20_000),
    st.integers(0, 18),
    st.integers(2_000_000, 50_000_000),
    st.integers(0, 2**32),
)
def test_interrupted_runs_do_not_move_the_mean(
    true_us: float, interrupted: int, excess_ns: int, seed: int
) -> None:
    """The resolution of 1 µs adds no bias: 0.05 µs reads mostly 0 and sometimes 1."""
    runs = 40
    dither = np.random.default_rng(seed).permutation(runs) / runs
    read_ns = ((true_us + dither).astype(int) * 1_000).tolist()
    for i in range(interrupted):
        read_ns[i] += int(true_us * 2_000) + excess_ns
    [mean_ns] = align([NETWORK[0]], [(NAMES[0], read_ns)])
    assert mean_ns == pytest.approx(
        true_us * 1_000, rel=0.02, abs=1_000 * (0.03 + interrupted / 40)
    )
