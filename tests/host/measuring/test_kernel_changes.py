from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from host.measuring.kernel_changes import kernel_changes
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Conditions, KernelTrace, Visit
from latlab.domain.program import Program

NOW = Conditions(unix_ns=0)
KERNELS = {
    "conv2d": Kernel("conv2d", ((1, 8, 8, 8),), (1, 8, 8, 8), (3, 3)),
    "add": Kernel("add", ((1, 8), (1, 8)), (1, 8)),
    "multiply": Kernel("multiply", ((1, 8), (1, 8)), (1, 8)),
}
NAMES = {"conv2d": "Convolution (NHWC, F32) IGEMM", "add": "Add (ND)", "multiply": "Multiply (ND)"}

runs = st.lists(st.tuples(st.sampled_from(["add", "multiply"]), st.integers(1, 10**6)), min_size=1)


def program(kinds: list[str]) -> Program:
    return Program("", 1, "xnnpack", (), tuple(KERNELS[kind] for kind in kinds), (), "test")


def visits(kinds: list[str], times_ns: list[int]) -> list[Visit]:
    traces = tuple(
        KernelTrace(NAMES[kind], (ns,) * 8) for kind, ns in zip(kinds, times_ns, strict=True)
    )
    return [Visit("v", True, (1,) * 8, (1,) * 8, (0,) * 8, 1, 1, 1, NOW, NOW, traces)]


def test_a_kernel_that_was_added_comes_first_and_kernels_that_stay_are_the_same() -> None:
    old, new = ["add", "multiply"], ["add", "multiply", "multiply"]
    changes = kernel_changes(
        program(old), visits(old, [100, 200]), program(new), visits(new, [90, 200, 500])
    )
    assert changes is not None
    assert [(c.kernel.kind, c.change_ns) for c in changes] == [
        ("multiply", 500),
        ("add", -10),
        ("multiply", 0),
    ]
    assert (changes[0].old_position, changes[0].new_position) == (None, 2)


@given(runs, runs)
def test_the_changes_add_up_to_the_change_of_all_kernels(
    old: list[tuple[str, int]], new: list[tuple[str, int]]
) -> None:
    sides = [([kind for kind, _ in side], [ns for _, ns in side]) for side in (old, new)]
    (old_kinds, old_ns), (new_kinds, new_ns) = sides
    changes = kernel_changes(
        program(old_kinds), visits(*sides[0]), program(new_kinds), visits(*sides[1])
    )
    assert changes is not None
    assert sum(change.change_ns for change in changes) == sum(new_ns) - sum(old_ns)
    placed = sorted(c.old_position for c in changes if c.old_position is not None)
    assert placed == list(range(len(old)))


def test_without_a_trace_there_are_no_changes() -> None:
    untraced = [replace(visits(["add"], [1])[0], traced=False, kernel_traces=())]
    one = program(["add"])
    assert kernel_changes(one, untraced, one, visits(["add"], [1])) is None
