from __future__ import annotations

import stat
from pathlib import Path

import pytest

from host.files import replacing


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "file.json"
    if before is not None:
        path.write_text(before)
    with pytest.raises(UnicodeEncodeError), replacing(path) as draft:
        draft.write_text("ha\udc80", encoding="utf-8")
    assert [p.read_text() for p in tmp_path.iterdir()] == ([] if before is None else [before])
    with replacing(path) as draft:
        draft.write_text("new")
        assert path.exists() == (before is not None)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


def test_a_secret_is_nobody_elses_from_the_start(tmp_path: Path) -> None:
    with replacing(tmp_path / "token", mode=0o600) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        draft.write_text("secret")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
