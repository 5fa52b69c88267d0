"""`latlab compare --max-ratio` and `latlab baselines`: exit codes, and what they show and write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from latlab.domain.failure import Failure, FailureKind
from latlab.domain.program import ProgramFile
from search.cli import app
from search.cli.networks import baselines, compare
from search.cli.networks.gate_report import junit_file
from tests.host.fake_lab import TARGET
from tests.search.latency.gate_lab import ADD, MUL, GateLab, program_file

FILES = {
    "old.pte": program_file("a"),
    "new.pte": program_file("b"),
    "slow.pte": program_file("c", ADD, MUL),
    "wide.pte": program_file("d", shape=(1, 16)),
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GateLab]:
    lab = GateLab()

    @contextmanager
    def session(target: str | None, **_: object) -> Iterator[Any]:
        programs = SimpleNamespace(programs=lambda networks: networks)
        yield SimpleNamespace(client=lab, target=TARGET, lab=programs)

    @contextmanager
    def connected() -> Iterator[GateLab]:
        yield lab

    def find(texts: list[str], inputs: object, context: object) -> list[ProgramFile]:
        return [FILES[text] for text in texts]

    for module in (compare, baselines):
        monkeypatch.setattr(module, "session", session)
        monkeypatch.setattr(module, "find_networks", find)
    monkeypatch.setattr(baselines, "LatencyClient", SimpleNamespace(connect=connected))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    with lab.clock():
        yield lab


def run(command: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed to stdout and stderr."""
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code != 70, result.stderr
    return result.exit_code, result.stdout, result.stderr


def test_a_program_that_is_not_slower_exits_with_0(lab: GateLab) -> None:
    code, shown, _ = run("compare old.pte new.pte --max-ratio 1.03")
    assert code == 0
    assert "new.pte is not slower than old.pte by the limit of 1.03: new/old is" in shown


def test_a_slower_program_exits_with_1_and_its_kernel_is_shown(lab: GateLab) -> None:
    code, shown, _ = run("compare old.pte slow.pte --max-ratio 1.03")
    assert code == 1
    assert "slow.pte is slower than old.pte" in shown
    assert "new/old is 1.99" in shown
    assert "│ + multiply 8 " in shown
    assert "+1.00 ms" in shown


def test_what_is_undecided_exits_with_3_and_says_which_limit_can_be_decided(lab: GateLab) -> None:
    lab.noise = 0.05
    code, shown, _ = run("compare old.pte new.pte --max-ratio 1.001")
    assert code == 3
    assert "undecided whether new.pte is slower than old.pte" in shown
    assert "more visits would hardly have decided, so measuring ended early" in shown
    assert "can decide limits from 1.0" in shown


def test_the_json_is_all_that_is_printed(lab: GateLab) -> None:
    code, shown, _ = run("compare old.pte slow.pte --max-ratio 1.03 --json")
    found = json.loads(shown)
    assert code == found["exit_code"] == 1
    assert (found["verdict"], found["old"], found["new"]) == ("slower", "old.pte", "slow.pte")
    assert found["lower"] <= found["ratio"] <= found["upper"]
    assert found["lower"] > found["max_ratio"] == 1.03
    assert found["kernels"][0]["new"].startswith("multiply")
    assert found["kernels"][0]["old_ns"] is None
    assert len(found["measurement_ids"]) == 2 * len(lab.asked)


def test_bounds_that_are_not_known_are_null_in_json(lab: GateLab) -> None:
    lab.disturbed = True
    code, shown, _ = run("compare old.pte new.pte --max-ratio 1.03 --json --max-minutes 0.5")
    found = json.loads(shown)
    assert code == 3
    assert found["ratio"] is found["lower"] is found["upper"] is None


@pytest.mark.parametrize(
    ("new", "limit", "element"),
    [("new.pte", "1.03", None), ("slow.pte", "1.03", "failure"), ("new.pte", "1.0001", "error")],
)
def test_junit_says_what_the_exit_code_says(
    lab: GateLab, new: str, limit: str, element: str | None
) -> None:
    lab.noise = 0.03
    run(f"compare old.pte {new} --max-ratio {limit} --junit out.xml")
    root = ElementTree.parse("out.xml").getroot()
    [suite] = root
    [case] = suite.findall("testcase")
    assert case.get("name") == f"{new} against old.pte on {TARGET.name}"
    counts = {"failure": suite.get("failures"), "error": suite.get("errors")}
    assert counts == {name: str(int(name == element)) for name in counts}
    found = [each.tag for each in case if each.tag in counts]
    assert found == ([element] if element else [])
    output = case.find("system-out")
    assert output is not None
    assert "new/old is" in str(output.text)
    if element == "failure":
        fault = case.find("failure")
        assert fault is not None
        assert "slow.pte is slower" in str(fault.get("message"))
        assert "+1.00 ms: + multiply 8" in str(fault.text)


def test_a_failure_is_an_error_also_in_junit(lab: GateLab) -> None:
    lab.failure = Failure(FailureKind.DEVICE_LOST, "it went away")
    code, shown, errors = run("compare old.pte new.pte --max-ratio 1.03 --junit out.xml")
    assert (code, shown) == (2, "")
    assert "device_lost: it went away" in errors
    [fault] = ElementTree.parse("out.xml").getroot().iter("error")
    assert fault.get("message") == "device_lost: it went away"


def test_programs_with_different_inputs_are_an_error(lab: GateLab) -> None:
    code, _, errors = run("compare old.pte wide.pte --max-ratio 1.03")
    assert code == 2
    assert "old.pte takes 1x8:float32, and wide.pte takes 1x16:float32" in errors
    assert lab.asked == []


def test_a_baseline_stands_for_the_old_program(lab: GateLab) -> None:
    code, shown, _ = run("baselines set release/1.0 old.pte")
    assert (code, lab.kept) == (0, {"release/1.0": FILES["old.pte"].program})
    assert "release/1.0 is old.pte" in shown
    assert "release/1.0" in run("baselines list")[1]
    code, shown, _ = run("compare slow.pte --baseline release/1.0 --max-ratio 1.03")
    assert code == 1
    assert "slow.pte is slower than baseline release/1.0" in shown
    assert run("baselines remove release/1.0")[0] == 0
    code, _, errors = run("compare slow.pte --baseline release/1.0 --max-ratio 1.03")
    assert code == 2
    assert "no baseline 'release/1.0'" in errors


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("compare old.pte", "name two networks"),
        ("compare old.pte new.pte --json", "--json has no effect without --max-ratio"),
        ("compare old.pte --baseline x", "--baseline has no effect without --max-ratio"),
        ("compare old.pte new.pte --max-ratio 1.03 --pairs 9", "--pairs has no effect"),
        ("compare old.pte new.pte --max-ratio 1.03 --baseline x", "name only the new one"),
        ("compare old.pte new.pte --max-ratio nan", "nan"),
        ("compare old.pte new.pte --max-ratio 0", "0"),
        ("baselines set ../:x old.pte", "a baseline is named by"),
    ],
)
def test_wrong_usage_is_explained_in_one_line(lab: GateLab, command: str, words: str) -> None:
    code, shown, errors = run(command)
    assert (code, shown) == (2, "")
    assert words in errors
    assert lab.asked == []


def test_what_a_name_holds_does_not_break_the_junit_file() -> None:
    data = junit_file("\x1b[31m<a>&", 1.0, ("error", "\x00", "\x07"), "\x1b")
    [case] = ElementTree.fromstring(data).iter("testcase")
    assert cast(str, case.get("name")).endswith("[31m<a>&")
