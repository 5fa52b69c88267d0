"""Benchmarks judge their figures by an operator and a number."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.bench import __main__ as benchmarks
from tests.bench import figures, finished
from tests.bench.figures import Goal, at_least, at_most, exactly, report, within


@pytest.mark.parametrize(
    ("goal", "met", "missed"),
    [
        (at_most(30), 30, 30.1),
        (at_least(0.9), 0.9, 0.899),
        (exactly(0), 0, 1),
        (within(1, 0.01), 1.005, 0.98),
    ],
)
def test_a_goal_is_met_or_missed(goal: Goal, met: float, missed: float) -> None:
    assert goal.is_met(met)
    assert not goal.is_met(missed)
    assert not goal.is_met(math.nan)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two benchmarks that note when they run; the second fails while `failing` stands there."""
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        report("first.figure", 2, "things", at_most(1))

    def second() -> None:
        ran.append("second")
        if "failing" in ran:
            raise KeyboardInterrupt
        report("second.figure", 1, "things", at_most(1))

    modules = {"one": first, "two": second}

    monkeypatch.setattr(benchmarks, "_benchmark", modules.__getitem__)
    monkeypatch.setattr(benchmarks, "GROUPS", {"both": ("one", "two")})
    monkeypatch.setattr(finished, "REPOSITORY", tmp_path)
    monkeypatch.setattr(finished, "code_state", lambda: "this code")
    monkeypatch.setattr(figures, "_printed", [])
    monkeypatch.setattr("sys.argv", ["tests.bench", "both"])
    return ran


def test_a_missed_goal_is_named_and_fails_the_group(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmarks.main() == 1
    output = capsys.readouterr()
    assert "missed: first.figure is 2, the goal <= 1" in output.err
    assert "second.figure" not in output.err
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert [line["met"] for line in lines] == [False, True]


def test_an_interrupted_group_goes_on(
    group: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    group.append("failing")
    with pytest.raises(KeyboardInterrupt):
        benchmarks.main()
    group.clear()
    capsys.readouterr()
    monkeypatch.setattr(figures, "_printed", [])
    monkeypatch.setattr("sys.argv", ["tests.bench", "both"])
    assert benchmarks.main() == 1
    assert group == ["second"]
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == [
        "first.figure",
        "second.figure",
    ]
