"""Where the lab finds its runner and its bundles, in a checkout and where it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from host.home.paths import LabHome
from tests.structure import REPOSITORY

CODE = """
from pathlib import Path
from host.home.paths import BUNDLE_FIX, RUNNER_FIX, LabHome

home = LabHome(Path())
print(home.runner, home.bundles, BUNDLE_FIX, RUNNER_FIX, sep="\\n")
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LATLAB_RUNNER", "LATLAB_BUNDLES"):
        monkeypatch.delenv(name, raising=False)


def found_in(packages: Path) -> list[str]:
    """What an environment finds in which our packages are installed in that folder."""
    for name in ("host", "latlab"):
        (packages / name).mkdir()
        for child in (REPOSITORY / name).iterdir():
            if child.name not in ("home", "__pycache__"):
                (packages / name / child.name).symlink_to(child)
    (packages / "host/home").mkdir()
    for child in (REPOSITORY / "host/home").glob("*.py"):  # looks for its own place
        (packages / "host/home" / child.name).write_bytes(child.read_bytes())
    code = f"import sys; sys.path.insert(0, {str(packages)!r}){CODE}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True, cwd=packages
    )
    return done.stdout.splitlines()


def test_a_checkout_uses_what_it_has_built() -> None:
    home = LabHome(Path())
    assert home.runner == REPOSITORY / "build/runner/latlab-runner"
    assert home.bundles == REPOSITORY / "build/bundle"


def test_an_installation_uses_what_its_wheels_hold(tmp_path: Path) -> None:
    (tmp_path / "latency_lab_bundle").mkdir()
    (tmp_path / "latency_lab_bundle/__init__.py").touch()
    runner, bundles, _, _ = found_in(tmp_path)
    assert runner == str(tmp_path / "device_agent/runner/latlab-runner")
    assert bundles == str(tmp_path / "latency_lab_bundle")


def test_an_installation_names_the_wheels_that_are_missing(tmp_path: Path) -> None:
    _, bundles, bundle_fix, runner_fix = found_in(tmp_path)
    assert not Path(bundles).exists()
    assert bundle_fix == "pip install --upgrade latency-lab-bundle"
    assert runner_fix == "pip install --force-reinstall --no-deps latency-lab"


def test_the_environment_s_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATLAB_RUNNER", "/somewhere/runner")
    monkeypatch.setenv("LATLAB_BUNDLES", "/somewhere/bundles")
    home = LabHome(Path())
    assert (home.runner, home.bundles) == (Path("/somewhere/runner"), Path("/somewhere/bundles"))
