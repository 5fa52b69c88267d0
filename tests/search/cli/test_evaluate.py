from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from latlab.domain import kernel as k
from latlab.domain.errors import NotReady
from latlab.domain.estimate import PredictionScore, Refit
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.target import Target
from search.cli import app
from search.cli import evaluate as evaluate_module
from search.cli.evaluate import evaluation_of
from tests.latency_models.synthetic import Machine, random_networks


def evaluated_sizes(measured: list[MeasuredNetwork]) -> int:
    """How many predictions were judged in two splits."""
    return len(evaluation_of(measured, splits=2).parity.measured_ns)


def test_what_no_other_network_resembles_is_not_held_out() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    shape = (1, 7, 7, 8)
    probe = replace(
        networks[0],
        kernels=(*networks[0].kernels, Kernel(k.HARDSWISH, (shape,), shape)),
        kernel_ns=(*(networks[0].kernel_ns or ()), 1_000.0),
    )
    assert evaluated_sizes(networks) == evaluated_sizes([*networks, probe]) == 2 * 4


def test_networks_measured_again_count_once() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    again = [replace(network, unix_ns=network.unix_ns + 100) for network in networks[:6]]
    assert evaluated_sizes([*networks, *again]) == 2 * 4  # as above without them


def test_too_little_to_judge_by_says_what_to_do() -> None:
    with pytest.raises(NotReady, match="latlab calibrate"):
        evaluated_sizes(Machine().measure_all(random_networks(3, seed=3)))


def test_a_target_without_kernel_times_is_evaluated_too() -> None:
    networks = Machine().measure_all(random_networks(12, seed=3))
    untraced = [replace(network, kernel_ns=None) for network in networks]
    assert evaluated_sizes(untraced) == evaluated_sizes(networks)


TARGET = Target("board", "os", "runtime", "build", "xnnpack", 1, "all")
FIRST = Refit(1, 12, 0.5, "WholeNetworkPredictor", "ab" * 32, {"numpy": "2.0", "scipy": "1.14"})
REFITS = [
    FIRST,
    replace(
        FIRST,
        measurements=20,
        fingerprint="cd" * 32,
        score=PredictionScore(8, 0, 0.041, 0.75, 0.875),
    ),
    replace(
        FIRST,
        measurements=31,
        predictor="KernelPredictor",
        fingerprint="ef" * 32,
        versions={"numpy": "2.1", "scipy": "1.14"},
        score=PredictionScore(11, 3, 0.5, 0.25, 1.0),
    ),
    replace(
        FIRST,
        measurements=31,
        predictor="KernelPredictor",
        fingerprint="ef" * 32,
        versions={"numpy": "2.1", "scipy": "1.14"},
    ),
]


def shown_history(monkeypatch: pytest.MonkeyPatch, refits: list[Refit], *options: str) -> Result:
    """What `latlab evaluate --history` does on a lab with these refits."""

    @contextmanager
    def session(target: str | None) -> Iterator[SimpleNamespace]:
        assert target == "board"
        client = SimpleNamespace(refit_history=lambda target_id: refits)
        yield SimpleNamespace(client=client, target=TARGET)

    monkeypatch.setattr(evaluate_module, "session", session)
    words = ["evaluate", "--history", "--target", "board", *options]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def test_the_history_shows_scores_and_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shown_history(monkeypatch, REFITS)
    assert result.exit_code == 0
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")][1:]
        for line in result.stdout.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["12", "", "", "", "", ""],
        ["20", "8", "4.1%", "75%", "88%", ""],
        [
            "31",
            "11 (3 guessed)",
            "50.0%",
            "25%",
            "100%",
            "numpy 2.0 → 2.1; WholeNetworkPredictor → KernelPredictor",
        ],
        ["31", "", "", "", "", "the same measurements"],
    ]
    assert f"data fingerprint {'ef' * 6}, numpy 2.1, scipy 1.14" in result.stdout


def test_a_history_without_refits_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shown_history(monkeypatch, [])
    assert result.exit_code == 2
    assert f"latlab lab refit {TARGET.id}" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "option", ["--splits=3", "--held-out=0.5", "--precision=int8", "--plot=x.png"]
)
def test_options_that_hold_out_have_no_effect_on_the_history(
    monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    result = shown_history(monkeypatch, REFITS, option)
    assert result.exit_code == 2
    message = " ".join(result.stderr.split())
    assert f"{option.partition('=')[0]} has no effect beside --history" in message
