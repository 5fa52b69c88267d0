from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latlab.common import program_store
from latlab.common.program_store import ProgramStore
from latlab.domain.domain import Program
from latlab.domain.errors import InvalidRequest, TooLarge


def program(data: bytes) -> Program:
    return Program(hashlib.sha256(data).hexdigest(), len(data), "xnnpack", (), (), (), "test")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chunks=st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_come_back_however_they_were_cut(tmp_path: Path, chunks: list[bytes]) -> None:
    store, data = ProgramStore(tmp_path), b"".join(chunks)
    store.add(program(data), chunks, in_use=())
    assert store.has(program(data))
    assert store.path(program(data).sha256).read_bytes() == data


@pytest.mark.parametrize(
    ("sent", "message"),
    [(b"hell", "ended after 4 of 5"), (b"hellooo", "longer"), (b"jello", "hashes to")],
)
def test_a_bad_upload_is_refused_and_leaves_nothing(
    tmp_path: Path, sent: bytes, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        ProgramStore(tmp_path).add(program(b"hello"), [sent], in_use=())
    assert list(tmp_path.iterdir()) == []


def test_a_program_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_store, "MAX_PROGRAM_BYTES", 4)
    with pytest.raises(TooLarge, match="limit is 4"):
        ProgramStore(tmp_path).add(program(b"hello"), [b"hello"], in_use=())


def test_the_store_is_bounded_but_keeps_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_store, "MAX_STORE_BYTES", 10)
    store = ProgramStore(tmp_path)
    first, second, third = (program(letter * 5) for letter in (b"a", b"b", b"c"))
    for number, (one, data) in enumerate(
        [(first, b"aaaaa"), (second, b"bbbbb"), (third, b"ccccc")]
    ):
        store.add(one, [data], in_use={first.sha256})
        if number < 2:
            assert store.has(one)
    assert store.has(first)
    assert not store.has(second)
    assert store.has(third)
