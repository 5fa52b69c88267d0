"""Pure rules that check a device's answer before it is stored.

An agent runs on a machine that may be damaged, hacked or of another version, and the lab keeps
its answers for ever. An impossible visit becomes a Failure that says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.checks.text import cleaned
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measurement import Conditions, Visit

INT64_MAX = 2**63 - 1
MAX_WARMUP_RUNS = 2**31 - 1
MAX_KERNELS = 10_000
MAX_NAME_LENGTH = 1_000
MAX_MESSAGE_LENGTH = 2_000
ABSOLUTE_ZERO_C = -274.0  # a broken sensor may report odd temperatures, but none below this

_SERIES = ("wall_ns", "cpu_ns", "involuntary_switches")


def checked(outcome: Visit | Failure, run_id: str, spec: VisitSpec) -> Visit | Failure:
    """Return the outcome of a run in a form that may be stored.

    Args:
        outcome: The agent's answer.
        run_id: The run that was asked for.
        spec: What the visit should have done.

    Returns:
        The visit if it is possible, else a Failure AGENT_ERROR. A failure's message is
        shortened if necessary.
    """
    if isinstance(outcome, Failure):
        return replace(outcome, message=cleaned(outcome.message, MAX_MESSAGE_LENGTH))
    fault = visit_fault(outcome) or _unasked(outcome, run_id, spec)
    if not fault:
        return outcome
    message = f"the device's agent answered with an impossible visit: {fault}; update or restart it"
    return Failure(FailureKind.AGENT_ERROR, cleaned(message, MAX_MESSAGE_LENGTH))


def visit_fault(
    visit: Visit, *, traces_removed: bool = False, samples_removed: bool = False
) -> str:
    """Return why a visit is impossible under any settings; empty if it is possible.

    Args:
        visit: The visit.
        traces_removed: Whether the lab has removed the kernels' times of each run since.
        samples_removed: Whether the lab has removed the series since.
    """
    if fault := _removed_fault(visit) if samples_removed else _samples_fault(visit):
        return fault
    for field in fields(visit):
        value = getattr(visit, field.name)
        # A column of SQLite may hold a text where it was declared to hold a number.
        is_text = isinstance(value, (str, bytes, float)) and field.name != "run_id"
        if is_text or (isinstance(value, int) and not 0 <= value <= INT64_MAX):
            return f"{field.name} is {value!r}"
    if visit.warmup_runs > MAX_WARMUP_RUNS:
        return f"warmup_runs is {visit.warmup_runs}"
    traced_runs = 0 if traces_removed else len(visit.wall_ns)
    return (
        _trace_fault(visit, traced_runs)
        or _conditions_fault("before", visit.before)
        or _conditions_fault("after", visit.after)
    )


def _unasked(visit: Visit, run_id: str, spec: VisitSpec) -> str:
    """Return how a visit differs from what was asked for; empty if it does not."""
    if visit.run_id != run_id:
        return f"it is of another run, {visit.run_id[:MAX_NAME_LENGTH]!r}"
    if visit.traced != spec.traced:
        return f"it is {'' if visit.traced else 'not '}traced, unlike what was asked for"
    if len(visit.wall_ns) > spec.max_timed_runs:
        return f"it has {len(visit.wall_ns)} runs, above the cap of {spec.max_timed_runs}"
    if (total_ns := sum(visit.wall_ns)) > spec.deadline_ns:
        return f"its runs took {total_ns} ns, and its deadline was after {spec.deadline_ns}"
    return ""


def _series_fault(name: str, values: Sequence[int]) -> str:
    for value in (min(values), max(values)):
        if not 0 <= value <= INT64_MAX:
            return f"{name} holds {value}"
    return ""


def _samples_fault(visit: Visit) -> str:
    lengths = [len(getattr(visit, name)) for name in _SERIES]
    if not visit.wall_ns or len(set(lengths)) > 1:
        counts = ", ".join(f"{n} of {name}" for n, name in zip(lengths, _SERIES, strict=True))
        return f"its series are empty or not parallel ({counts})"
    if min(visit.wall_ns) <= 0:
        return f"a run took {min(visit.wall_ns)} ns"
    for name in _SERIES:
        if fault := _series_fault(name, getattr(visit, name)):
            return fault
    return ""


def _removed_fault(visit: Visit) -> str:
    left = [name for name in _SERIES if getattr(visit, name)]
    return f"its samples were removed, but it has {', '.join(left)}" if left else ""


def _trace_fault(visit: Visit, runs: int) -> str:
    if visit.kernel_traces and not visit.traced:
        return "it is untraced and has traces of kernels"
    if len(visit.kernel_traces) > MAX_KERNELS:
        return f"it has traces of {len(visit.kernel_traces)} kernels, more than {MAX_KERNELS}"
    for trace in visit.kernel_traces:
        if len(trace.name) > MAX_NAME_LENGTH:
            return f"a kernel's name has {len(trace.name)} characters"
        if len(trace.durations_ns) != runs:
            return f"kernel {trace.name!r} has {len(trace.durations_ns)} durations for {runs} runs"
        if runs and (fault := _series_fault(f"kernel {trace.name!r}", trace.durations_ns)):
            return fault
        for field in fields(trace):
            value = getattr(trace, field.name)
            if field.name != "name" and isinstance(value, (str, bytes, float)):
                return f"kernel {trace.name!r} has the {field.name} {value!r}"
    return ""


def _conditions_fault(when: str, conditions: Conditions) -> str:
    for field in fields(conditions):
        value = getattr(conditions, field.name)
        if isinstance(value, float) and not _lowest(field.name) <= value < math.inf:
            return f"its {field.name} {when} is {value}"
        if isinstance(value, str) and len(value) > MAX_NAME_LENGTH:
            return f"its {field.name} {when} has {len(value)} characters"
        if isinstance(value, str) and cleaned(value) != value:
            return f"its {field.name} {when} is {value!r}"
        if isinstance(value, int) and not 0 <= value <= INT64_MAX:
            return f"its {field.name} {when} is {value}"
    return ""


def _lowest(name: str) -> float:
    return ABSOLUTE_ZERO_C if name == "temperature_c" else 0.0
