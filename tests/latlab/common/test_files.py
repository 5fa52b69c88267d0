from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from latlab.common.files import FULL, read_regular, remove_parts, replacing, storage_error
from latlab.domain.errors import StorageError
from tests.small_disk import small_disk


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


def fails_with(number: int) -> StorageError:
    return storage_error(OSError(number, os.strerror(number), "/lab/exports/x.pte"))


def test_a_full_disk_is_named_by_its_folder(tmp_path: Path) -> None:
    for number in FULL:
        assert str(fails_with(number)) == (
            "the disk that holds /lab/exports is full: free some space on it"
        )
    with (
        pytest.raises(StorageError, match=f"disk that holds {tmp_path} is full"),
        replacing(tmp_path / "file"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_says_what_to_do() -> None:
    assert str(fails_with(errno.EROFS)) == (
        "/lab/exports/x.pte: Read-only file system (name a place that can be written)"
    )
    assert str(fails_with(errno.EIO)) == "/lab/exports/x.pte: Input/output error"


def test_drafts_of_killed_processes_go_when_they_are_old(tmp_path: Path) -> None:
    old, young, file = (tmp_path / name for name in ("old.part", "young.part", "file"))
    for path in (old, young, file):
        path.touch()
    os.utime(old, (1, 1))
    remove_parts(tmp_path, 3_600)
    assert sorted(tmp_path.iterdir()) == [file, young]
    remove_parts(tmp_path, 0)
    remove_parts(tmp_path / "missing", 0)
    assert list(tmp_path.iterdir()) == [file]


def test_a_really_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(StorageError, match="is full"), replacing(disk / "file") as draft:
            draft.write_bytes(bytes(1 << 22))
        assert not list(disk.iterdir())


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_regular_files_are_read(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(OSError, match=r"regular file|directory"):
        read_regular(tmp_path / "x", 10)


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(10))
    assert read_regular(tmp_path / "x", 10) == bytes(10)
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_regular(tmp_path / "x", 9)
