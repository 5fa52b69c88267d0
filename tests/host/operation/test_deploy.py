"""The unit and the Containerfile in docs/deploy, as far as they can be tried without systemd and
without an image.

The RUN lines that need no network run in a copy of this machine's root: an overlay in a mount
namespace, for which the kernel wants root. Those that install packages do not run.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device_agent.agent_process import wait_until
from tests.host.operation.watched_lab import watched_lab
from tests.structure import REPOSITORY

DEPLOY = REPOSITORY / "docs/deploy"
UNIT = DEPLOY / "latlab-lab.service"
CONTAINERFILE = DEPLOY / "Containerfile"
NETWORK = ("apt-get", "pip")
IN_OVERLAY = """\
set -e
mount -t tmpfs latlab-test "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay latlab-test -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
exec chroot "$1/root" /bin/sh -ec "$2"
"""


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Containerfile and its arguments, in one line."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    parts = (line.partition(" ") for line in text.splitlines() if line)
    return [(name, arguments.strip()) for name, _, arguments in parts]


def arguments_of(instruction: str) -> list[str]:
    return [text for name, text in instructions() if name == instruction]


def needs_network(command: str) -> bool:
    return any(Path(word).name in NETWORK for word in shlex.split(command))


def in_overlay(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a copy of this machine's root; skips where that is not possible."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a copy of the root needs root, and unshare")
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", IN_OVERLAY, "sh", str(folder), script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_lines_of_the_image_that_need_no_network_run(tmp_path: Path) -> None:
    probe = in_overlay(tmp_path, "true")
    if probe.returncode != 0:
        pytest.skip(f"no overlay: {probe.stderr.strip()}")
    lines = [line for line in arguments_of("RUN") if not needs_network(line)]
    assert len(lines) == 2
    # This machine's python3 may come without the package for new environments.
    script = "\n".join(line.replace("-m venv /", "-m venv --without-pip /") for line in lines)
    checks = "stat --format='%U %a' /var/lib/latlab; id --user latlab; ls /opt/latlab/bin/python"
    done = in_overlay(tmp_path, f"{script}\n{checks}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["latlab", "700", "10001", "/opt/latlab/bin/python"]
    assert not Path("/var/lib/latlab").exists()


def test_the_other_lines_are_well_formed() -> None:
    lines = [line for line in arguments_of("RUN") if needs_network(line)]
    assert len(lines) == 2
    for line in arguments_of("RUN"):
        subprocess.run(["sh", "-nc", line], check=True)
    extras = re.search(r"latency-lab\[(.+)\]", lines[1])
    assert extras is not None
    declared = (REPOSITORY / "pyproject.toml").read_text()
    assert all(re.search(rf"^{each} = \[", declared, re.MULTILINE) for each in extras[1].split(","))
    if apt := shutil.which("apt-cache"):
        packages = re.findall(r"--no-install-recommends (.+?) &&", lines[0])[0].split()
        known = subprocess.run(
            [apt, "pkgnames"], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(known) < 10_000 or set(packages) <= set(known)  # else without lists


def test_the_image_s_commands_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [command] = arguments_of("CMD")
    words = json.loads(command)
    assert words[:2] == ["python", "-m"]
    assert importlib.util.find_spec(words[2]) is not None
    [check] = arguments_of("HEALTHCHECK")
    words = json.loads(check.partition(" CMD ")[2])
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path))

    def is_well() -> bool:
        return subprocess.run([sys.executable, *words[1:]], stderr=subprocess.PIPE).returncode == 0

    assert not is_well()
    with watched_lab(tmp_path) as lab:
        (tmp_path / "daemon.json").write_text(json.dumps({"metrics": lab.pages}))
        wait_until(lambda: lab.get("/healthz")[0] == 200)
        assert is_well()


def test_the_unit_is_valid(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd is not installed")
    program = tmp_path / "latency-lab/.venv/bin"
    program.mkdir(parents=True)
    for name in ("python", "latlab"):
        (program / name).symlink_to(sys.executable)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("%h", str(tmp_path)))
    done = subprocess.run(
        [analyze, "--user", "--man=no", "verify", str(unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert importlib.util.find_spec(service["ExecStart"].rpartition(" ")[2]) is not None
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
