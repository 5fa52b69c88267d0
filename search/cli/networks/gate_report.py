"""The reports of `latlab compare --max-ratio`: text, JSON and JUnit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.table import Column, Table

from host.cli.console import milliseconds, signed_text
from host.measuring.sequential import CONFIDENCE, Verdict
from latlab.common.files import replacing
from latlab.domain.checks.text import visible
from latlab.domain.estimate import HEAT_UNKNOWN
from latlab.profiling.differences import Difference
from search.latency.gate import GateResult

EXIT_CODES = {Verdict.NOT_SLOWER: 0, Verdict.SLOWER: 1, Verdict.UNDECIDED: 3}
SHOWN_KERNELS = 10
# JUnit's elements for a test case. An undecided comparison is neither passed nor failed.
_JUNIT = {Verdict.SLOWER: "failure", Verdict.UNDECIDED: "error"}


@dataclass(frozen=True, slots=True)
class GateReport:
    """A result with what it is about.

    Attributes:
        old: The name of the old program.
        new: The name of the new program.
        target: The target's name.
        max_minutes: The time that was allowed.
        result: The result.
    """

    old: str
    new: str
    target: str
    max_minutes: float
    result: GateResult

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return EXIT_CODES[self.result.verdict]

    def sentence(self) -> str:
        """Return the verdict and the ratio in one sentence."""
        result = self.result
        ratio, lower, upper = (
            result.estimate.ratio,
            result.estimate.lower,
            result.estimate.upper,
        )
        verdict = {
            Verdict.NOT_SLOWER: f"{self.new} is not slower than {self.old}",
            Verdict.SLOWER: f"{self.new} is slower than {self.old}",
            Verdict.UNDECIDED: f"undecided whether {self.new} is slower than {self.old}",
        }[result.verdict]
        verdict = f"{verdict} by the limit of {result.limit:g}"
        if math.isnan(ratio):
            return f"{verdict}: too few pairs of visits were clean"
        known = f"{lower:.3f} to {upper:.3f}" if lower > 0 and upper < math.inf else "unbounded"
        return (
            f"{verdict}: new/old is {ratio:.3f} ({CONFIDENCE:.0%} interval {known},"
            f" {result.estimate.pairs} clean pairs of {result.pairs})"
        )

    def notes(self) -> Iterator[str]:
        """Yield what else a reader should know, as sentences."""
        result = self.result
        if result.latencies_ns is not None:
            old_ns, new_ns = result.latencies_ns
            yield f"{self.old}: {milliseconds(old_ns)}. {self.new}: {milliseconds(new_ns)}."
        if result.verdict is Verdict.UNDECIDED:
            yield self._advice()
        if result.heat_unknown:
            yield HEAT_UNKNOWN
        if result.note:
            yield result.note

    def _advice(self) -> str:
        result = self.result
        if result.floor is None or math.isinf(result.floor):
            return "allow more time with --max-minutes, and leave the device alone meanwhile"
        early = (
            "more visits would hardly have decided, so measuring ended early: "
            if result.is_hopeless
            else ""
        )
        return (
            f"{early}within {self.max_minutes:g} minutes, {self.target} can decide limits from"
            f" {result.floor:.3f} up for equal programs. Choose such a limit, or allow more time"
            " with --max-minutes"
        )

    def document(self) -> dict[str, Any]:
        """Return everything, as JSON holds it. A bound that is not known is null."""
        result, estimate = self.result, self.result.estimate
        old_ns, new_ns = result.latencies_ns or (None, None)
        return {
            "verdict": result.verdict.value.replace(" ", "_"),
            "exit_code": self.exit_code,
            "old": self.old,
            "new": self.new,
            "target": self.target,
            "max_ratio": result.limit,
            "ratio": _finite(estimate.ratio),
            "lower": estimate.lower or None,
            "upper": _finite(estimate.upper),
            "confidence": CONFIDENCE,
            "old_latency_ns": old_ns,
            "new_latency_ns": new_ns,
            "pairs": result.pairs,
            "clean_pairs": estimate.pairs,
            "device_s": round(result.device_s, 3),
            "decidable_max_ratio": _finite(result.floor),
            "below_noise_floor": bool(
                result.floor and max(result.limit, 1 / result.limit) < result.floor
            ),
            "kernels": list(map(_kernel_document, result.kernels)),
            "measurement_ids": list(result.measurement_ids),
            "notes": list(self.notes()),
        }

    def json(self) -> str:
        """Return everything as a JSON document."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False)

    def junit(self) -> bytes:
        """Return the result as a JUnit file with one test case."""
        result = self.result
        element = _JUNIT.get(result.verdict)
        text = "\n".join([*self.notes(), *kernel_lines(result.kernels)])
        return junit_file(
            f"{self.new} against {self.old} on {self.target}",
            result.device_s,
            None if element is None else (element, self.sentence(), text),
            "\n".join([self.sentence(), text]),
        )

    def kernels_table(self) -> Table:
        """Return the table of the kernels that account for the change."""
        numbers = (Column(name, justify="right") for name in ("old", "new", "change"))
        table = Table("kernel", *numbers)
        for each in self.result.kernels[:SHOWN_KERNELS]:
            times = (milliseconds(row.time_ns) if row else "" for row in (each.first, each.second))
            table.add_row(each.text, *times, f"{signed_text(each.change.time_ns)} ms")
        others = self.result.kernels[SHOWN_KERNELS:]
        if others:
            rest_ns = sum(each.change.time_ns for each in others)
            table.add_row(f"{len(others)} others", "", "", f"{signed_text(rest_ns)} ms")
        return table


def junit_file(
    name: str, seconds: float, fault: tuple[str, str, str] | None, output: str = ""
) -> bytes:
    """Return a JUnit file with one test case.

    Args:
        name: The name of the test case.
        seconds: How long it took.
        fault: The element of what went wrong, "failure" or "error", its message and its text.
        output: What the test case has printed.
    """
    suite = ElementTree.Element(
        "testsuite",
        name="latlab compare",
        tests="1",
        failures=str(int(fault is not None and fault[0] == "failure")),
        errors=str(int(fault is not None and fault[0] == "error")),
        time=f"{seconds:.3f}",
    )
    case = ElementTree.SubElement(
        suite, "testcase", classname="latlab.compare", name=visible(name), time=f"{seconds:.3f}"
    )
    if fault is not None:
        element, message, text = fault
        found = ElementTree.SubElement(case, element, message=visible(message), type=element)
        found.text = visible(text, "\n")
    if output:
        ElementTree.SubElement(case, "system-out").text = visible(output, "\n")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    data: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def write_junit(path: Path, data: bytes) -> None:
    """Write a JUnit file, whole or not at all. Raises StorageError."""
    with replacing(path) as draft:
        draft.write_bytes(data)


def kernel_lines(kernels: Sequence[Difference]) -> list[str]:
    """Return the kernels with the largest changes as lines of text."""
    shown = kernels[:SHOWN_KERNELS]
    return [
        f"{signed_text(each.change.time_ns)} ms: {each.text.replace(chr(10), ' ')}"
        for each in shown
    ]


def _kernel_document(each: Difference) -> dict[str, Any]:
    old, new = each.first, each.second
    return {
        "old": old and str(old.kernel),
        "new": new and str(new.kernel),
        "old_ns": old and old.time_ns,
        "new_ns": new and new.time_ns,
        "change_ns": each.change.time_ns,
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
