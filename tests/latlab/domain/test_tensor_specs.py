"""A program's inputs: what they may be, and what versions before dtypes wrote and sent."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from sqlalchemy import update

from host.database import programs, schema
from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.convert.latency import program_from_message, program_to_message
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import KernelSource, Program, TensorSpec
from latlab.export import ProgramCache
from latlab.v1 import common_pb2, latency_pb2
from tests.latlab.convert import strategies

INPUTS = (TensorSpec((1, 3, 8, 8)), TensorSpec((1, 16), "int64", 0, 30521))
PROGRAM = Program("ab" * 32, 4, "xnnpack", INPUTS, (), (), "test")
OLD_PROGRAM = dataclasses.replace(PROGRAM, inputs=tuple(map(TensorSpec, PROGRAM.input_shapes)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dtype": "float64"}, "float64"),
        ({"dtype": "int64", "low": 0}, "both"),
        ({"dtype": "int64", "high": 0}, "both"),
        ({"low": 0, "high": 1}, "float32"),
        ({"dtype": "bool", "low": 0, "high": 1}, "bool"),
        ({"dtype": "int64", "low": 2, "high": 1}, "2 to 1"),
        ({"dtype": "int8", "low": 0, "high": 128}, "int8: -128 to 127"),
        ({"dtype": "uint8", "low": -1, "high": 1}, "uint8: 0 to 255"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TensorSpec((1,), **fields)


def test_an_input_reads_as_the_command_line_takes_it() -> None:
    assert list(map(str, INPUTS)) == ["1x3x8x8:float32", "1x16:int64:0..30521"]


def test_a_message_with_shapes_alone_means_float32() -> None:
    message = latency_pb2.Program(
        input_shapes=[common_pb2.Shape(dims=shape) for shape in PROGRAM.input_shapes]
    )
    assert program_from_message(message).inputs == OLD_PROGRAM.inputs


@given(program=strategies.programs)
def test_a_message_tells_older_versions_the_shapes(program: Program) -> None:
    shapes = [tuple(shape.dims) for shape in program_to_message(program).input_shapes]
    assert tuple(shapes) == program.input_shapes


def test_a_message_whose_input_makes_no_sense_is_refused() -> None:
    message = program_to_message(PROGRAM)
    message.inputs[1].dtype = "complex64"
    with pytest.raises(ValueError, match="complex64"):
        program_from_message(message)


def test_a_row_of_an_older_version_is_float32(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        programs.add_program(connection, OLD_PROGRAM)
        connection.execute(update(schema.programs).values(input_values=None))
        assert programs.get_program(connection, PROGRAM.sha256) == OLD_PROGRAM
        programs.add_program(connection, OLD_PROGRAM)
    database.close()


def test_the_inputs_of_known_bytes_cannot_change(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    with database.writing() as connection:
        programs.add_program(connection, PROGRAM)
    with (
        pytest.raises(InvalidRequest, match=r"1x16:int64:0\.\.30521, not .*1x16:float32"),
        database.writing() as connection,
    ):
        programs.add_program(connection, OLD_PROGRAM)
    database.close()


def test_the_cache_exports_again_what_an_older_version_stored_without_sources(
    tmp_path: Path,
) -> None:
    cache = ProgramCache(tmp_path)
    description = cache.put("key", PROGRAM, b"1234").path.with_suffix(".json")
    written = json.loads(description.read_text())
    del written["sources"]
    description.write_text(json.dumps(written))
    assert cache.get("key") is None


def test_the_cache_keeps_dtypes_and_ranges_and_sources(tmp_path: Path) -> None:
    sources = (None, KernelSource("layers.0", "Conv2d", "net.py", 12))
    stored = ProgramCache(tmp_path).put("key", PROGRAM, b"1234", sources)
    assert ProgramCache(tmp_path).get("key") == stored
    assert (stored.program, stored.sources) == (PROGRAM, sources)
