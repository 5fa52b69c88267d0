from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latlab.common.program_store import ProgramStore
from latlab.domain.errors import DiskFull, InvalidRequest, NotFound, TooLarge


def name(data: bytes) -> str:
    return sha256(data).hexdigest()


def put(store: ProgramStore, data: bytes, *in_use: bytes) -> None:
    store.add(name(data), len(data), [data], {name(each) for each in in_use})


def holds(store: ProgramStore, data: bytes) -> bool:
    try:
        return store.get(name(data)).read_bytes() == data
    except NotFound:
        return False


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chunks=st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_come_back_however_they_were_cut(tmp_path: Path, chunks: list[bytes]) -> None:
    store, data = ProgramStore(tmp_path), b"".join(chunks)
    store.add(name(data), len(data), chunks)
    assert store.has(name(data), len(data))
    assert not store.has(name(data), len(data) + 1)
    assert holds(store, data)


@pytest.mark.parametrize(
    ("sent", "message"),
    [(b"hell", "ended after 4 of 5"), (b"hellooo", "longer"), (b"jello", "hashes to")],
)
def test_a_bad_upload_is_refused_and_leaves_nothing(
    tmp_path: Path, sent: bytes, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        ProgramStore(tmp_path).add(name(b"hello"), 5, [sent])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "named", ["", "../../x", "/etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"]
)
def test_a_program_has_no_other_name_than_a_hash(tmp_path: Path, named: str) -> None:
    store = ProgramStore(tmp_path / "programs")
    for ask in (
        store.path,
        store.get,
        lambda sha: store.has(sha, 1),
        lambda sha: store.add(sha, 1, [b"a"]),
    ):
        with pytest.raises(InvalidRequest, match="64 lower-case hexadecimal digits"):
            ask(named)
    assert list(tmp_path.rglob("*")) == [tmp_path / "programs"]


def test_a_program_over_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="limit is 4"):
        put(ProgramStore(tmp_path, max_program_bytes=4), b"hello")


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    (tmp_path / "half.part").write_bytes(b"x")
    ProgramStore(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_bounded_but_keeps_what_is_in_use(tmp_path: Path) -> None:
    store = ProgramStore(tmp_path, max_total_bytes=10)
    for letter in (b"a", b"b", b"c"):
        put(store, letter * 5, b"aaaaa")
    assert [holds(store, letter * 5) for letter in (b"a", b"b", b"c")] == [True, False, True]


def test_programs_go_before_the_disks_reserve_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has 1,000 bytes, of which it keeps 50 in reserve."""
    others_bytes = 900

    def statvfs(folder: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in folder.iterdir()) + others_bytes
        return SimpleNamespace(f_blocks=1_000, f_frsize=1, f_bavail=1_000 - used)

    monkeypatch.setattr("os.statvfs", statvfs)
    store = ProgramStore(tmp_path)
    for letter in (b"a", b"b", b"c"):
        put(store, letter * 20, b"a" * 20)
    assert [holds(store, letter * 20) for letter in (b"a", b"b", b"c")] == [True, False, True]
    with pytest.raises(DiskFull, match="storage is full: free 1 MB on the disk"):
        put(store, b"d" * 40, b"a" * 20)
    assert holds(store, b"a" * 20)
    store.keep_reserve({name(b"a" * 20)})
    others_bytes = 940
    with pytest.raises(DiskFull, match="storage is full"):
        store.keep_reserve({name(b"a" * 20)})
    store.keep_reserve({})
    assert not holds(store, b"a" * 20)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_the_total_keeps_its_limit_and_the_newest_program_stays(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("programs")
    store = ProgramStore(directory, max_program_bytes=40, max_total_bytes=100)
    for index, size in enumerate(sizes):
        data = index.to_bytes(1, "big") * size
        put(store, data)
        assert holds(store, data)
        assert sum(path.stat().st_size for path in directory.iterdir()) <= 100


def test_the_program_used_least_recently_goes_first(tmp_path: Path) -> None:
    store = ProgramStore(tmp_path, max_program_bytes=40, max_total_bytes=100)
    for number, data in enumerate((b"a" * 40, b"b" * 40), 1):
        put(store, data)
        os.utime(store.path(name(data)), ns=(number, number))
    assert holds(store, b"a" * 40)  # used just now
    put(store, b"c" * 40)
    assert holds(store, b"a" * 40)
    assert not holds(store, b"b" * 40)
