"""The agent's copy of its runner."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from device_agent.runner_copy import copy_runner
from latlab.common.installed_files import content_sha256, runner_build, runner_files
from tests.device_agent.conftest import StartAgent, write_stand_in

ANSWER = b"answer()"


def test_a_rebuilt_runner_is_another_from_the_agents_next_start_on(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    runner = write_stand_in(tmp_path)
    agent = start_agent(runner=runner)
    agent.upload(ANSWER)
    build = agent.describe().runner_build
    assert build == runner_build(runner)
    assert json.loads((agent.state / "agent.json").read_text())["runner_build"] == build
    rebuilt = runner.read_text() + "# rebuilt\n"
    runner.write_text("broken")
    assert agent.run("a", ANSWER).HasField("visit")
    assert agent.describe().runner_build == build
    runner.write_text(rebuilt)
    agent.end()
    agent = start_agent(runner=runner)
    assert agent.describe().runner_build == runner_build(runner) != build
    [_] = (agent.state / "runner").iterdir()


def test_a_copy_brings_its_libraries(runner: Path, tmp_path: Path) -> None:
    copy = copy_runner(runner, tmp_path)
    files = runner_files(copy)
    assert "libexecutorch.so" in files
    assert {path.resolve().parent for path in files.values()} == {copy.parent}
    assert content_sha256(files) == copy.parent.name
    assert runner_build(copy) == runner_build(runner)
    assert subprocess.run([copy, "--version"], check=True, env={}, capture_output=True).stdout


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    runner = write_stand_in(tmp_path)
    copy = copy_runner(runner, tmp_path / "copies")
    copy.write_text("half")
    assert copy_runner(runner, tmp_path / "copies") == copy
    assert copy.read_text() == runner.read_text()


def test_a_bundle_is_copied_with_all_that_its_runner_loads(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    for name in ("bin/latlab-runner", "lib/libc.so.6", "lib/python3.11/os.py"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(name)
    (bundle / "latlab-runner").write_text("#!/bin/sh\n")
    build = runner_build(bundle / "latlab-runner")
    first = copy_runner(bundle / "latlab-runner", tmp_path / "copies")
    assert {path.relative_to(first.parent).as_posix() for path in first.parent.rglob("*.*")} == {
        "lib/libc.so.6"
    }
    assert (first.parent / "bin/latlab-runner").read_text() == "bin/latlab-runner"
    (bundle / "lib/libc.so.6").write_text("another")
    second = copy_runner(bundle / "latlab-runner", tmp_path / "copies")
    assert second != first
    assert runner_build(second) == build  # its script names the builds of all that it loads
