"""A bundle's files, as they are copied to a phone and compared there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from host.agent.bundle import Bundle


def test_what_pip_compiles_in_an_installed_bundle_stays_here(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/module.py").write_text("VALUE = 1\n")
    bundle = Bundle(tmp_path, "")
    before = bundle.digest()
    compiled = tmp_path / "site/__pycache__"
    compiled.mkdir()
    (compiled / "module.cpython-313.pyc").write_bytes(b"of another Python")
    archive = io.BytesIO()
    bundle.write_archive(archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        assert [member.name for member in tar if member.isfile()] == ["./site/module.py"]
    assert bundle.digest() == before
