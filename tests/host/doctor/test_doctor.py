"""What the doctor finds wrong, and the mends it says."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.doctor.checks import limited
from host.doctor.daemon import check_daemon
from host.doctor.finding import Finding, Level
from host.doctor.machine import check_runner, check_state
from host.doctor.phones import check_adb, check_bundle, usb_findings
from host.home.paths import REPOSITORY, LabHome
from latlab.common.agent_sources import agent_sources


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    home = LabHome(tmp_path / "home")
    home.create()
    return home


def test_a_check_that_hangs_or_fails_is_a_finding(home: LabHome) -> None:
    released = threading.Event()

    def check_patience(_: LabHome) -> Iterator[Finding]:
        released.wait()
        yield Finding("patience", Level.OK, "")

    def check_luck(_: LabHome) -> Iterator[Finding]:
        yield Finding("luck", Level.OK, "so far")
        raise ValueError("none left")

    [hangs] = limited(check_patience, home, timeout_s=0.01)
    released.set()
    assert (hangs.check, hangs.level) == ("patience", Level.WRONG)
    so_far, fails = limited(check_luck, home)
    assert so_far.level is Level.OK
    assert (fails.check, fails.level) == ("luck", Level.WRONG)
    assert "none left" in fails.found


def test_what_is_not_built_is_said_with_its_command(
    home: LabHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATLAB_RUNNER", str(tmp_path / "none"))
    monkeypatch.setenv("LATLAB_BUNDLES", str(tmp_path))
    [runner] = check_runner(home)
    assert (runner.level, runner.fix) == (Level.WRONG, "make runner")
    assert next(f.fix for f in check_bundle(home)) == "make agent-bundle MACHINE=aarch64"
    [daemon] = check_daemon(home)
    assert daemon.level is Level.WARNING
    assert "make lab-up" in daemon.fix


def test_a_bundle_with_another_agent_is_to_be_built_again(
    home: LabHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATLAB_BUNDLES", str(tmp_path))
    site = tmp_path / "aarch64/site"
    for name, source in agent_sources(REPOSITORY).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, site / name)
    (tmp_path / "aarch64/bundle.json").write_text('{"sha256": "5e"}')
    assert next(check_bundle(home)).level is Level.OK
    (site / "latlab/common/files.py").write_text("")
    finding = next(check_bundle(home))
    assert (finding.level, finding.fix) == (
        Level.WARNING,
        "make agent-bundle MACHINE=aarch64",
    )


def test_the_real_runner_is_well(runner: Path, home: LabHome) -> None:
    [finding] = check_runner(home)
    assert finding.level is Level.OK


def test_readable_secrets_and_a_mistaken_lab_toml_are_wrong(home: LabHome) -> None:
    assert not [f for f in check_state(home) if f.check != "disk"]
    home.token()
    home.token_file.chmod(0o644)
    home.config_file.write_text("boards = []\ngruops = 1\n")
    [secret, config] = [f for f in check_state(home) if f.check != "disk"]
    assert secret.fix == f"chmod 600 {home.token_file}"
    assert "line 2" in config.found


def test_another_program_on_adb_s_port_is_wrong(
    home: LabHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(other.getsockname()[1]))
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        findings = limited(check_adb, home)
    if len(findings) == 1:
        pytest.skip("adb is not installed")
    assert findings[-1].level is Level.WRONG


def test_a_phone_that_this_user_may_not_open_needs_udev_rules(tmp_path: Path) -> None:
    device = tmp_path / "sys/devices/usb1/1-2"
    interface = device / "1-2:1.1"
    interface.mkdir(parents=True)
    for path, text in {
        device / "busnum": "1",
        device / "devnum": "7",
        interface / "bInterfaceClass": "ff",
        interface / "bInterfaceSubClass": "42",
        interface / "bInterfaceProtocol": "01",
    }.items():
        path.write_text(f"{text}\n")
    listed = tmp_path / "sys/bus/usb/devices"
    listed.mkdir(parents=True)
    (listed / "1-2:1.1").symlink_to(interface)
    [refused] = usb_findings(tmp_path)
    assert refused.level is Level.WRONG
    assert "android-sdk-platform-tools-common" in refused.fix
    node = tmp_path / "dev/bus/usb/001/007"
    node.parent.mkdir(parents=True)
    node.touch()
    [allowed] = usb_findings(tmp_path)
    assert allowed.level is Level.OK
    (interface / "bInterfaceProtocol").write_text(f"02{os.linesep}")
    assert list(usb_findings(tmp_path)) == []
