"""A bundle that borrows: the agent runs in this machine's Python, which a virtual phone has."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from host.home.paths import REPOSITORY

SCRIPT = """\
#!/bin/sh
export PYTHONPATH={repository} LATLAB_LEDGER={ledger}
exec {python} -m {agent} "$@"
"""
LEDGER = "/ledger"


def write_stand_in(
    bundles: Path, runner: Path, ballast_bytes: int = 0, agent: str = "device_agent"
) -> Path:
    """For x86-64, in a folder for bundles of all ABIs. `ballast_bytes` more make it as large
    as a bundle that brings all it needs. `agent` is the module that it starts."""
    folder = bundles / "x86_64"
    folder.mkdir(parents=True)
    script = SCRIPT.format(repository=REPOSITORY, python=sys.executable, agent=agent, ledger=LEDGER)
    (folder / "latlab-agent").write_text(script)
    shutil.copy(runner, folder / "latlab-runner")
    (folder / "ballast").write_bytes(bytes(ballast_bytes))
    content = script.encode() + runner.read_bytes() + str(ballast_bytes).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "bundle.json").write_text(json.dumps({"sha256": sha256}))
    return folder
