"""The gate for changes, beside a lab that measures what a test says."""

from __future__ import annotations

from typing import cast

import pytest

from host.measuring.sequential import BATCH, FLOOR_BATCHES, Verdict
from latlab.client.client import LatencyClient
from latlab.domain.errors import InvalidRequest
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.program import ProgramFile
from search.latency.gate import PAIRS, TRACED, GateResult, Limits, check_inputs, run_gate
from tests.host.fake_lab import TARGET
from tests.search.latency.gate_lab import ADD, MUL, VISIT_S, GateLab, program_file

A, B = program_file("a"), program_file("b")


def outcome(
    lab: GateLab,
    new: ProgramFile = B,
    limit: float = 1.03,
    minutes: float = 5.0,
    old: ProgramFile = A,
) -> GateResult | Failure:
    client = cast(LatencyClient, lab)
    with lab.clock():
        return run_gate(client, TARGET, (old, new), Limits(limit, minutes))


def result(
    lab: GateLab, new: ProgramFile = B, limit: float = 1.03, minutes: float = 5.0
) -> GateResult:
    found = outcome(lab, new, limit, minutes)
    assert isinstance(found, GateResult)
    return found


def test_equal_programs_pass_and_no_kernel_is_timed() -> None:
    lab = GateLab()
    found = result(lab)
    assert found.verdict is Verdict.NOT_SLOWER
    assert found.estimate.upper < 1.03
    assert {spec for _, spec in lab.asked} == {PAIRS}
    assert found.kernels == ()
    assert found.note
    assert found.device_s == pytest.approx(lab.now_s)
    assert len(found.measurement_ids) == 2 * len(lab.asked)


def test_the_batches_begin_with_either_program_in_turn() -> None:
    lab = GateLab(noise=0.05)
    result(lab)
    orders = [order[0][0] for order, _ in lab.asked]
    assert orders[:4] == ["a", "b", "a", "b"]


def test_the_ratio_is_that_of_the_new_program_to_the_old() -> None:
    found = result(GateLab(slowness={B.program.sha256: 1.2}))
    assert found.verdict is Verdict.SLOWER
    assert found.estimate.ratio == pytest.approx(1.2, rel=0.02)
    assert found.latencies_ns is not None
    assert found.latencies_ns[1] > found.latencies_ns[0]
    faster = result(GateLab(slowness={B.program.sha256: 0.8}))
    assert faster.verdict is Verdict.NOT_SLOWER


def test_the_kernel_that_was_added_accounts_for_the_change() -> None:
    lab = GateLab()
    found = result(lab, program_file("c", ADD, MUL))
    assert found.verdict is Verdict.SLOWER
    assert lab.asked[-1][1] == TRACED
    added = found.kernels[0]
    assert added.first is None
    assert added.second is not None
    assert added.second.kernel == MUL
    assert added.change.time_ns == pytest.approx(1e6)
    assert found.note == ""


def test_a_verdict_stands_where_kernels_cannot_be_timed() -> None:
    found = result(GateLab(traces=False), program_file("c", ADD, MUL))
    assert found.verdict is Verdict.SLOWER
    assert found.kernels == ()
    assert "the kernels could not be timed" in found.note


def test_the_same_bytes_are_not_measured() -> None:
    lab = GateLab()
    assert result(lab, A).verdict is Verdict.NOT_SLOWER
    assert result(lab, A, limit=0.9).verdict is Verdict.SLOWER
    assert lab.asked == []


def test_measuring_ends_when_the_time_is_spent() -> None:
    lab = GateLab(slowness={B.program.sha256: 1.03}, noise=0.05)
    found = result(lab, minutes=1.0)
    assert found.verdict is Verdict.UNDECIDED
    assert not found.is_hopeless
    measured_s = sum(len(order) * BATCH * VISIT_S for order, spec in lab.asked if spec == PAIRS)
    assert 60 - 2 * BATCH * VISIT_S <= measured_s <= 60
    assert found.floor is not None


def test_a_limit_below_the_noise_floor_ends_early_and_says_which_can_be_decided() -> None:
    lab = GateLab(noise=0.05)
    found = result(lab, limit=1.001, minutes=10.0)
    assert found.verdict is Verdict.UNDECIDED
    assert found.is_hopeless
    assert FLOOR_BATCHES * BATCH <= found.pairs < 0.9 * 10 * 60 / (2 * VISIT_S)
    assert found.floor is not None
    assert 1.005 < found.floor < 1.05
    decidable = result(GateLab(noise=0.05), limit=1 + 2 * (found.floor - 1), minutes=10.0)
    assert decidable.verdict is Verdict.NOT_SLOWER


def test_disturbed_pairs_do_not_count() -> None:
    found = result(GateLab(disturbed=True), minutes=0.5)
    assert found.verdict is Verdict.UNDECIDED
    assert found.estimate.pairs == 0
    assert found.latencies_ns is None


def test_a_program_that_fails_ends_the_comparison() -> None:
    failure = Failure(FailureKind.OUT_OF_MEMORY, "too large")
    assert outcome(GateLab(failure=failure)) == failure


def test_programs_with_different_inputs_are_refused_with_both_listed() -> None:
    other = program_file("c", shape=(1, 16)).program
    with pytest.raises(InvalidRequest, match=r"x takes 1x8:float32, and y takes 1x16:float32"):
        check_inputs(("x", "y"), A.program, other)
    check_inputs(("x", "y"), A.program, B.program)
