"""The clocks of a phone whose agent may set them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.machine.clocks import restore, steady
from device_agent.machine.conditions import read_conditions
from tests.virtual_phone import android

CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
CRASH = """
import os, signal, sys
from pathlib import Path
from device_agent.machine.clocks import steady
with steady(Path(sys.argv[1]), [0], Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """Its root: rooted, for this process may write its files."""
    root = tmp_path / "phone"
    (root / "system/bin").mkdir(parents=True)
    (root / "system/bin/getprop").touch()
    android.write_files(root)
    return root


def settings(phone: Path) -> tuple[str, ...]:
    names = ("scaling_governor", "scaling_min_freq", "scaling_max_freq")
    return tuple((phone / CPUFREQ / name).read_text().strip() for name in names)


def test_they_are_steady_for_the_run_and_then_as_before(phone: Path, tmp_path: Path) -> None:
    highest_khz = (phone / CPUFREQ / "cpuinfo_max_freq").read_text().strip()
    (phone / CPUFREQ / "scaling_max_freq").write_text("1000000")
    before = settings(phone)
    assert before == ("schedutil", "300000", "1000000")

    def fail_in_mid_run() -> None:
        with steady(phone, [0], tmp_path / "saved"):
            assert settings(phone) == ("performance", highest_khz, highest_khz)
            assert read_conditions(phone, [0]).governor == "performance"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_mid_run()
    assert settings(phone) == before
    assert not (tmp_path / "saved").exists()


def test_after_a_crash_they_are_restored_by_the_next_agent(phone: Path, tmp_path: Path) -> None:
    before, saved = settings(phone), tmp_path / "saved"
    crash = [sys.executable, "-c", CRASH, str(phone), str(saved)]
    assert subprocess.run(crash, timeout=60, check=False).returncode == -signal.SIGKILL
    assert settings(phone) != before
    restore(saved)
    assert settings(phone) == before
    assert not saved.exists()


def test_elsewhere_than_on_android_nothing_is_tried(phone: Path, tmp_path: Path) -> None:
    (phone / "system/bin/getprop").unlink()
    before = settings(phone)
    with steady(phone, [0], tmp_path / "saved"):
        assert settings(phone) == before
        assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", "7"])
def test_a_file_that_makes_no_sense_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "saved").write_text(text)
    restore(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
