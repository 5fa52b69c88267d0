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
export PYTHONPATH={repository}
exec {python} -m device_agent "$@"
"""


def write_stand_in(bundles: Path, runner: Path, ballast_bytes: int = 0) -> Path:
    """For x86-64, in a folder for bundles of all ABIs. `ballast_bytes` more make it as large
    as a bundle that brings all it needs."""
    folder = bundles / "x86_64"
    folder.mkdir(parents=True)
    script = SCRIPT.format(repository=REPOSITORY, python=sys.executable)
    (folder / "latlab-agent").write_text(script)
    shutil.copy(runner, folder / "latlab-runner")
    (folder / "ballast").write_bytes(bytes(ballast_bytes))
    content = script.encode() + runner.read_bytes() + str(ballast_bytes).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "bundle.json").write_text(json.dumps({"sha256": sha256}))
    return folder
