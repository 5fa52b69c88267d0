"""The fixture latlab_compare in tests of other projects."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from latlab.client import client as client_module
from search.cli.networks import network_argument
from tests.search.latency.gate_lab import ADD, MUL, GateLab, program_file
from tests.structure import REPOSITORY

pytest_plugins = ["pytester"]

FILES = {
    "old.pte": program_file("a"),
    "new.pte": program_file("b"),
    "slow.pte": program_file("c", ADD, MUL),
    "wide.pte": program_file("d", shape=(1, 16)),
}
TEST = "def test_it(latlab_compare):\n    "


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[GateLab]:
    lab = GateLab()

    @contextmanager
    def connected(home: object = None) -> Iterator[GateLab]:
        yield lab

    monkeypatch.setattr(client_module, "LatencyClient", SimpleNamespace(connect=connected))
    monkeypatch.setattr(network_argument, "find_network", FILES.__getitem__)
    with lab.clock():
        yield lab


def outcomes(pytester: pytest.Pytester, body: str, *options: str) -> tuple[dict[str, int], str]:
    """Run a test with this body; return how many passed and so on, and what was printed."""
    pytester.makepyfile(TEST + body)
    # The modules of the plugin's distribution were imported before, because pytest runs in pytest.
    quietly = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", *quietly, *options)
    return result.parseoutcomes(), result.stdout.str()


def test_a_network_that_is_not_slower_passes(lab: GateLab, pytester: pytest.Pytester) -> None:
    body = 'assert latlab_compare("old.pte", "new.pte").result.estimate.upper < 1.03'
    assert outcomes(pytester, body)[0] == {"passed": 1}


def test_a_slower_network_fails_with_its_kernel(lab: GateLab, pytester: pytest.Pytester) -> None:
    counts, shown = outcomes(pytester, 'latlab_compare("old.pte", "slow.pte", max_ratio=1.05)')
    assert counts == {"failed": 1}
    assert "slow.pte is slower than old.pte by the limit of 1.05" in shown
    assert "+1.00 ms: + multiply 8" in shown


def test_what_is_undecided_fails(lab: GateLab, pytester: pytest.Pytester) -> None:
    lab.noise = 0.05
    counts, shown = outcomes(pytester, 'latlab_compare("old.pte", "new.pte", max_ratio=1.001)')
    assert counts == {"failed": 1}
    assert "undecided whether new.pte is slower" in shown


def test_a_baseline_stands_for_the_old_network(lab: GateLab, pytester: pytest.Pytester) -> None:
    lab.kept["main"] = FILES["old.pte"].program
    body = 'latlab_compare(None, "slow.pte", baseline="main")'
    counts, shown = outcomes(pytester, body)
    assert counts == {"failed": 1}
    assert "slow.pte is slower than baseline main" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('"old.pte", "wide.pte"', "wide.pte takes 1x16:float32"),
        ('None, "new.pte", baseline="none"', "no baseline 'none'"),
    ],
)
def test_what_cannot_be_compared_fails(
    lab: GateLab, pytester: pytest.Pytester, arguments: str, words: str
) -> None:
    counts, shown = outcomes(pytester, f"latlab_compare({arguments})")
    assert counts == {"failed": 1}
    assert words in shown


def test_without_a_lab_a_test_is_skipped_or_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATLAB_HOME", str(pytester.path / "none"))
    body = 'latlab_compare("old.pte", "new.pte")'
    counts, shown = outcomes(pytester, body)
    assert counts == {"skipped": 1}
    assert "latlab_compare needs a lab" in shown
    assert "latlab lab up" in shown
    counts, shown = outcomes(pytester, body, "--latlab-required")
    assert counts == {"errors": 1}
    assert "latlab lab up" in shown


def test_the_plugin_imports_nothing_until_it_is_used() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import search.testing.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert set(loaded.stdout.split()) == {
        "search",
        "search.testing",
        "search.testing.pytest_plugin",
    }


def test_the_distribution_announces_the_plugin() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    [place] = re.findall(r'pytest11\]\nlatlab = "(.+)"', project)
    assert hasattr(importlib.import_module(place), "latlab_compare")
