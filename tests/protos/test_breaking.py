"""`make check` compares the protos with those of version 0.2.0; the comparison can fail."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.structure import REPOSITORY

PROTOS = REPOSITORY / "protos"
BASELINE = PROTOS / "baseline-0.2.0.binpb"


def breaking(protos: Path) -> subprocess.CompletedProcess[str]:
    buf = Path(sysconfig.get_path("scripts")) / "buf"
    command = [str(buf), "breaking", str(protos), "--against", str(BASELINE)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_clients_of_the_version_before_are_understood() -> None:
    done = breaking(PROTOS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string sha256 = 1;", "bytes sha256 = 1;"),
        ("rpc LookUp(", "rpc Find("),
        ("  ESTIMATE_SOURCE_BOUND = 4;\n", ""),
    ],
)
def test_a_change_that_breaks_them_is_found(tmp_path: Path, before: str, after: str) -> None:
    changed = tmp_path / "protos"
    shutil.copytree(PROTOS, changed, ignore=shutil.ignore_patterns("*.binpb"))
    proto = changed / "latlab" / "v1" / "latency.proto"
    assert before in proto.read_text()
    proto.write_text(proto.read_text().replace(before, after, 1))
    assert breaking(changed).returncode != 0
