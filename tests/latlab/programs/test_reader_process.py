"""Programs are read in a process that no file can make harm others."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from latlab.programs.reader import read_program
from latlab.programs.reader_process import ReaderProcess
from latlab.programs.tables import UnreadableProgram
from tests.pte_file import call, plan, pte_file, tensor

ADDING = pte_file(
    plan([tensor((1, 3))], [tensor((1, 3))], [call(0, 0, 0, 1, 1)], ["aten::add"], outputs=[1])
)


@pytest.fixture(scope="module")
def process() -> Iterator[ReaderProcess]:
    process = ReaderProcess()
    yield process
    process.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ädding program.pte"
    path.write_bytes(ADDING)
    return path


def test_it_reads_what_the_reader_reads(process: ReaderProcess, file: Path) -> None:
    assert process.read(file) == read_program(ADDING)


def test_what_cannot_be_read_is_refused_in_words(process: ReaderProcess, tmp_path: Path) -> None:
    (tmp_path / "empty.pte").touch()
    (tmp_path / "text.pte").write_text("not a program")
    for name, message in [
        ("empty", "not an ExecuTorch program"),
        ("text", "not an ExecuTorch program"),
        ("missing", "No such file"),
    ]:
        with pytest.raises(UnreadableProgram, match=message):
            process.read(tmp_path / f"{name}.pte")


def test_damaged_programs_harm_neither_it_nor_the_next(process: ReaderProcess, file: Path) -> None:
    rng, path = random.Random(0), file.with_name("damaged.pte")
    refused = 0
    for _ in range(200):
        damaged = bytearray(ADDING)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            process.read(path)
        except UnreadableProgram:
            refused += 1
    assert refused
    assert process.read(file) == read_program(ADDING)


def test_a_program_that_takes_too_long_is_refused_and_the_next_is_read(file: Path) -> None:
    """Its nine calls have nearly a million arguments each, which share their bytes."""
    process = ReaderProcess(timeout_s=1.0)
    endless = file.with_name("endless.pte")
    data = pte_file(plan([tensor((1, 3))], [], [call(0, *[0] * 7)] * 9, ["aten::add"]))
    few, many = (struct.pack("<8I", length, *[0] * 7) for length in (7, 900_000))
    assert data.count(few) == 9
    endless.write_bytes(data.replace(few, many) + bytes(4_000_000))
    try:
        with pytest.raises(UnreadableProgram, match="cannot be read in 1 s"):
            process.read(endless)
        assert process.read(file) == read_program(ADDING)
    finally:
        process.close()


def test_it_reads_a_program_that_is_no_file_without_waiting(
    process: ReaderProcess, file: Path
) -> None:
    pipe = file.with_name("pipe.pte")
    os.mkfifo(pipe)
    with pytest.raises(UnreadableProgram):
        process.read(pipe)
    assert process.read(file) == read_program(ADDING)


def test_its_process_is_confined(process: ReaderProcess, file: Path) -> None:
    process.read(file)
    assert process._process is not None
    status = Path(f"/proc/{process._process.pid}/status").read_text()
    if "Seccomp:" not in status:
        pytest.skip("this kernel has no seccomp")
    assert "Seccomp:\t2" in status  # a filter


def test_it_may_die_between_two_programs(process: ReaderProcess, file: Path) -> None:
    process.read(file)
    assert process._process is not None
    process._process.kill()
    process._process.wait()
    assert process.read(file) == read_program(ADDING)
