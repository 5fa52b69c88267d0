"""The lab reads each uploaded program itself, and believes its bytes alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from host.database import devices, programs
from host.database.engine import Database
from host.home.paths import sqlite_url
from host.services.programs.program_contents import described
from latlab.client.client import LatencyClient
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.kernel import ADD, Kernel
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.programs.reader_process import ReaderProcess
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, stored_lab
from tests.pte_file import Json, call, plan, pte_file, tensor

INPUTS = (TensorSpec((1, 4), "int64"), TensorSpec((1, 4)))
KERNEL = Kernel("portable:add", ((1, 4), (1, 4)), (1, 4))
TINY = plan(
    [tensor((1, 4), "LONG"), tensor((1, 4))],
    [tensor((1, 4))],
    [call(0, 0, 1, 2, 2)],
    ["aten::add"],
    outputs=[2],
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
    yield database
    database.close()


@pytest.fixture(scope="module")
def process() -> Iterator[ReaderProcess]:
    process = ReaderProcess()
    yield process
    process.close()


@pytest.fixture
def client(database: Database, tmp_path: Path, process: ReaderProcess) -> Iterator[LatencyClient]:
    with stored_lab(database, tmp_path, partial(described, process.read)) as (client, _):
        yield client


def announced(folder: Path, data: bytes, *inputs: TensorSpec) -> ProgramFile:
    """A program of which its client says nothing true but the inputs."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / "announced.pte"
    path.write_bytes(data)
    invented = (Kernel(ADD, ((7,),), (7,)),)
    return ProgramFile(
        Program(sha256, len(data), "xnnpack", inputs, invented, ("gelu",), "theirs 1"), path
    )


def stored(database: Database, file: ProgramFile) -> Program | None:
    with database.reading() as connection:
        return programs.get_program(connection, file.program.sha256)


@pytest.mark.parametrize("inputs", [(), INPUTS, (TensorSpec((1, 4), "int64", 0, 9), INPUTS[1])])
def test_kernels_come_from_the_bytes_and_ranges_from_the_client(
    database: Database, client: LatencyClient, tmp_path: Path, inputs: tuple[TensorSpec, ...]
) -> None:
    file = announced(tmp_path, pte_file(TINY), *inputs)
    [measured] = client.measure(TARGET.id, [file], SPEC)
    assert isinstance(measured, MeasuredLatency)
    assert stored(database, file) == replace(
        file.program, inputs=inputs or INPUTS, kernels=(KERNEL,), undelegated=("add",)
    )


WIDE = plan([tensor((1,))] * 300, [tensor((1,))], [call(0, *range(301), 300)], ["aten::cat"])


@pytest.mark.parametrize(
    ("document", "inputs", "message"),
    [
        (TINY, INPUTS[:1], "takes the inputs 1x4:int64, 1x4:float32, not 1x4:int64"),
        (TINY, (TensorSpec((2, 4), "int64"), INPUTS[1]), "not 2x4:int64, 1x4:float32"),
        (plan([tensor((1,))], instructions=[call(7, 0)]), (), "damaged"),
        (WIDE, (), "300 inputs, the limit is 100"),
    ],
)
def test_a_program_of_no_use_is_refused_and_leaves_nothing(
    database: Database,
    client: LatencyClient,
    tmp_path: Path,
    document: Json,
    inputs: tuple[TensorSpec, ...],
    message: str,
) -> None:
    file = announced(tmp_path, pte_file(document), *inputs)
    with pytest.raises(InvalidRequest, match=message):
        client.measure(TARGET.id, [file], SPEC)
    assert stored(database, file) is None
    assert not [path for path in (tmp_path / "programs").rglob("*") if path.is_file()]


def test_a_program_that_is_known_keeps_the_kernels_of_its_measurements(
    database: Database, client: LatencyClient, tmp_path: Path
) -> None:
    """Version 0.1 stored what its clients said."""
    file = announced(tmp_path, pte_file(TINY), *INPUTS)
    with database.writing() as connection:
        programs.add_program(connection, file.program)
    other = replace(file, program=replace(file.program, kernels=()))
    [measured] = client.measure(TARGET.id, [other], SPEC)
    assert isinstance(measured, MeasuredLatency)
    assert stored(database, file) == file.program


def test_damaged_programs_are_refused_or_measured_and_harm_no_other(
    database: Database, client: LatencyClient, tmp_path: Path
) -> None:
    rng, refused = random.Random(0), 0
    for _ in range(60):
        data = bytearray(pte_file(TINY))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            client.pin_sentinel(announced(tmp_path, bytes(data)))
        except InvalidRequest:
            refused += 1
    assert refused
    [measured] = client.measure(TARGET.id, [announced(tmp_path, pte_file(TINY))], SPEC)
    assert isinstance(measured, MeasuredLatency)
