from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.measuring.breakdown import break_down, timed_kernels
from latlab.domain import kernel as k
from latlab.domain.errors import TraceMismatch
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Conditions, KernelTrace, Visit
from latlab.domain.program import Program

NOW = Conditions(unix_ns=0)
RUNS = 30
SHAPE = (1, 8, 8, 16)
KERNELS = (
    Kernel(k.CONV2D, ((1, 8, 8, 3),), SHAPE, (3, 3)),
    Kernel(k.CLAMP, (SHAPE,), SHAPE),
    Kernel(k.ADD, (SHAPE, SHAPE), SHAPE, activation="relu"),
    Kernel("portable:erf", (SHAPE,), SHAPE),
)
# The clamp was fused into the convolution, and the addition was split from its activation.
TRACE = (
    ("Convolution (NHWC, F32) IGEMM", 1),
    ("Add (ND, F32)", 1),
    ("Clamp (NC, F32)", 1),
    ("native_call_erf.out", 4),
)
PROGRAM = Program("5e" * 32, 1, "xnnpack", (), KERNELS, (), "test")


def visit(wall_ns: np.ndarray, durations_ns: np.ndarray | None = None) -> Visit:
    walls = tuple(map(int, wall_ns))
    traces = () if durations_ns is None else zip(TRACE, durations_ns, strict=True)
    return Visit(
        "v",
        durations_ns is not None,
        walls,
        walls,
        (0,) * len(walls),
        10,
        1,
        1,
        NOW,
        NOW,
        tuple(
            KernelTrace(name, tuple(map(int, ns)), instruction)
            for (name, instruction), ns in traces
        ),
    )


def pairs(rest: float, overhead: float, count: int, seed: int, noise: float = 0.02) -> list[Visit]:
    """Return pairs of visits of a machine with moods, of a network with this rest and overhead.

    Interference adds time to every run, and a mood lasts for the two visits of a pair.
    """
    rng = np.random.default_rng(seed)
    kernels_ns = (1 - rest) * 10e6 * np.array([0.5, 0.2, 0.1, 0.2])
    visits = []
    for number in range(count):
        mood = 1 + rng.exponential(0.1)
        slower = [mood * (1 + rng.exponential(noise, RUNS)) for _ in range(2)]
        traced_ns = kernels_ns[:, None] * slower[1]
        pair = [
            visit(10e6 * slower[0]),
            visit(10e6 * (1 + overhead) * slower[1], traced_ns),
        ]
        visits += pair if number % 2 else pair[::-1]
    return visits


@given(
    rest=st.floats(-0.02, 0.5),
    overhead=st.floats(0.0, 0.3),
    count=st.integers(5, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_rest_and_the_overhead_of_tracing_are_found_whatever_the_moods(
    rest: float, overhead: float, count: int, seed: int
) -> None:
    found = break_down(pairs(rest, overhead, count, seed))
    assert found is not None
    assert found.pairs == count
    assert found.rest.value == pytest.approx(rest, abs=0.01)
    assert found.tracing.value == pytest.approx(overhead, abs=0.012)
    for share in (found.rest, found.tracing):
        assert share.lower <= share.value <= share.upper


def test_intervals_hold_the_rest_as_often_as_they_say_and_it_is_unbiased() -> None:
    trials = [break_down(pairs(0.03, 0.05, 8, seed)) for seed in range(200)]
    rests = [found.rest for found in trials if found is not None]
    errors = np.array([share.value - 0.03 for share in rests])
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(len(errors)) + 1e-4
    assert np.mean([share.lower <= 0.03 <= share.upper for share in rests]) >= 0.85


def test_a_disturbed_pair_does_not_count_and_without_pairs_nothing_is_said() -> None:
    visits = pairs(0.1, 0.0, 6, seed=1)
    spoiled = replace(visits[0], involuntary_switches=(9,) * RUNS)
    found = break_down([spoiled, *visits[1:]])
    assert found is not None
    assert found.pairs == 5
    assert break_down([spoiled, visits[1]]) is None
    assert break_down([each for each in visits if not each.traced]) is None
    blind = [replace(each, kernel_traces=()) for each in visits]
    assert break_down(blind) is None


def test_each_kernel_has_its_time_its_instruction_and_the_backend_s_name() -> None:
    timed = timed_kernels(PROGRAM, pairs(0.0, 0.0, 6, seed=2, noise=0.001))
    assert timed is not None
    total_ns = sum(kernel.time_ns for kernel in timed)
    shares = [kernel.time_ns / total_ns for kernel in timed]
    assert shares == pytest.approx([0.5, 0.0, 0.3, 0.2], abs=0.001)
    assert [kernel.instruction for kernel in timed] == [1, 1, 1, 4]
    assert [kernel.name for kernel in timed] == [
        "Convolution (NHWC, F32) IGEMM",
        "",
        "Add (ND, F32) + Clamp (NC, F32)",
        "native_call_erf.out",
    ]
    for kernel in timed:
        assert 0 <= kernel.lower_ns <= kernel.time_ns <= kernel.upper_ns


def test_a_padding_is_part_of_the_convolution_after_it() -> None:
    portable, padded = KERNELS[3], KERNELS[0]
    pad = Kernel(k.CONSTANT_PAD, (SHAPE,), SHAPE)
    program = replace(PROGRAM, kernels=(padded, portable, pad, padded))
    trace = (TRACE[0], TRACE[3], ("Convolution (NHWC, F32) IGEMM", 7))
    traces = tuple(KernelTrace(name, (1_000,) * RUNS, number) for name, number in trace)
    traced = replace(visit(np.full(RUNS, 10_000)), traced=True, kernel_traces=traces)
    timed = timed_kernels(program, [traced])
    assert timed is not None
    assert [kernel.instruction for kernel in timed] == [1, 4, 7, 7]
    assert [kernel.time_ns for kernel in timed] == [1_000, 1_000, 0, 1_000]


def test_a_trace_of_another_network_is_refused_and_no_trace_is_nothing() -> None:
    visits = pairs(0.0, 0.0, 2, seed=3)
    with pytest.raises(TraceMismatch):
        timed_kernels(replace(PROGRAM, kernels=KERNELS[:2]), visits)
    assert timed_kernels(PROGRAM, [each for each in visits if not each.traced]) is None
    assert break_down(visits) is not None
