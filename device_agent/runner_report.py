"""Check what a runner printed before using it.

A program may have taken the runner over and can make it print anything. No number that passes
here has a type or size that would break its readers.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from latlab.domain.benchmark_spec import MAX_DEADLINE_NS
from latlab.v1 import common_pb2
from latlab.v1.common_pb2 import Conditions, Failure, KernelTrace, Visit, VisitSpec

MAX_NAME_CHARS = 500
MAX_MESSAGE_CHARS = 4_000
_MAX_COUNT = 2**31 - 1
_MAX_BYTES = 2**62

_FAILURE_KINDS = {
    "not_a_program": common_pb2.FAILURE_KIND_NOT_A_PROGRAM,
    "bad_input": common_pb2.FAILURE_KIND_BAD_INPUT,
    "unsupported": common_pb2.FAILURE_KIND_UNSUPPORTED,
    "out_of_memory": common_pb2.FAILURE_KIND_OUT_OF_MEMORY,
    "execution_error": common_pb2.FAILURE_KIND_EXECUTION_ERROR,
    "trace_mismatch": common_pb2.FAILURE_KIND_TRACE_MISMATCH,
}


def read_report(output: bytes, returncode: int, spec: VisitSpec) -> Visit | Failure:
    """Return what the runner reports of a visit made as `spec` says: a Visit or a Failure.

    The Visit has no run_id, and only the probes in its conditions. Raises ValueError, LookupError,
    TypeError, AttributeError or RecursionError if the output is not a runner's report.
    """
    report = json.loads(output, parse_constant=_refuse_constant)
    if "failure" in report:
        failure = report["failure"]
        message = str(failure["message"])[:MAX_MESSAGE_CHARS]
        return Failure(kind=_FAILURE_KINDS[failure["kind"]], message=message)
    if returncode != 0:
        raise ValueError("the runner reports a visit, but its exit code says that it failed")
    return _to_visit(report, spec)


def _to_visit(report: dict[str, Any], spec: VisitSpec) -> Visit:
    runs = len(report["wall_ns"])
    if not 1 <= runs <= spec.max_timed_runs:
        raise ValueError(f"wall_ns: empty, or more than {spec.max_timed_runs} runs: {runs}")
    return Visit(
        wall_ns=_series(report, "wall_ns", runs, lowest=1),
        cpu_ns=_series(report, "cpu_ns", runs),
        involuntary_switches=_series(report, "involuntary_switches", runs),
        warmup_runs=_number(report, "warmup_runs", 0, spec.max_timed_runs),
        load_ns=_number(report, "load_ns", 1, MAX_DEADLINE_NS),
        first_run_ns=_optional_number(report, "first_run_ns", 1, MAX_DEADLINE_NS),
        planned_bytes=_optional_number(report, "planned_bytes", 0, _MAX_BYTES),
        peak_rss_bytes=_optional_number(report, "peak_rss_bytes", 1, _MAX_BYTES),
        before=_to_conditions(report["probes_before"]),
        after=_to_conditions(report["probes_after"]),
        kernel_traces=[_to_trace(kernel, runs) for kernel in _kernels(report, spec)],
    )


def _kernels(report: dict[str, Any], spec: VisitSpec) -> list[dict[str, Any]]:
    kernels: list[dict[str, Any]] = report["kernels"]
    if kernels and not spec.traced:
        raise ValueError("kernels: there are some, although the visit was not traced")
    return kernels


def _to_trace(kernel: dict[str, Any], runs: int) -> KernelTrace:
    name = kernel["name"]
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARS:
        raise ValueError(f"a kernel's name must be a text of up to {MAX_NAME_CHARS} characters")
    return KernelTrace(
        name=name,
        durations_ns=_series(kernel, "ns", runs),
        instruction=_optional_number(kernel, "instruction", 0, _MAX_COUNT),
    )


def _to_conditions(probes: dict[str, Any]) -> Conditions:
    return Conditions(
        arithmetic_probe_ns=_number(probes, "arithmetic_ns", 1, MAX_DEADLINE_NS),
        memory_probe_ns=_number(probes, "memory_ns", 1, MAX_DEADLINE_NS),
    )


def _series(report: dict[str, Any], name: str, runs: int, lowest: int = 0) -> list[int]:
    values: list[int] = report[name]
    if len(values) != runs:
        raise ValueError(f"{name}: must have a sample for each of {runs} runs, not {len(values)}")
    for value in values:
        _check(name, value, lowest, MAX_DEADLINE_NS)
    return values


def _number(report: dict[str, Any], name: str, lowest: int, highest: int) -> int:
    value: int = report[name]
    _check(name, value, lowest, highest)
    return value


def _optional_number(report: dict[str, Any], name: str, lowest: int, highest: int) -> int | None:
    """Return a number, or None if the runner does not know it."""
    return None if report.get(name) is None else _number(report, name, lowest, highest)


def _check(name: str, value: object, lowest: int, highest: int) -> None:
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"{name}: must be an integer of {lowest} to {highest}, not {value!r}")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"the report holds {text}, which is no number")
