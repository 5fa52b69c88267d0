"""Tiny `.pte` files that are written field by field, without exporting anything."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from latlab.domain.program import TensorSpec
from tests.device_agent.conftest import executorch_package

SCALAR_TYPES = {
    "float32": "FLOAT",
    "float16": "HALF",
    "int64": "LONG",
    "int32": "INT",
    "int8": "CHAR",
    "uint8": "BYTE",
    "bool": "BOOL",
}

Json = dict[str, object]


def pte_file(*plans: Json, **fields: object) -> bytes:
    """A program of these execution plans, in the words of `program.fbs`."""
    return _compiled(json.dumps({"execution_plan": plans, **fields}))


def idle_program(inputs: Sequence[TensorSpec]) -> bytes:
    """A program that takes inputs and does nothing."""
    return pte_file(plan([tensor(spec.shape, SCALAR_TYPES[spec.dtype]) for spec in inputs]))


def plan(
    inputs: Sequence[Json] = (),
    values: Sequence[Json] = (),
    instructions: Sequence[Json] = (),
    operators: Sequence[str] = (),
    name: str = "forward",
    **fields: object,
) -> Json:
    """A method, whose values are its inputs and then the others."""
    return {
        "name": name,
        "values": [*inputs, *values],
        "inputs": list(range(len(inputs))),
        "chains": [{"instructions": list(instructions)}],
        "operators": [{"name": operator} for operator in operators],
        **fields,
    }


def tensor(sizes: Sequence[int], scalar_type: str = "FLOAT", **fields: object) -> Json:
    return value("Tensor", sizes=list(sizes), scalar_type=scalar_type, **fields)


def value(kind: str, **fields: object) -> Json:
    return {"val_type": kind, "val": fields}


def instruction(kind: str, **fields: object) -> Json:
    return {"instr_args_type": kind, "instr_args": fields}


def call(operator: int, *arguments: int) -> Json:
    return instruction("KernelCall", op_index=operator, args=list(arguments))


@cache
def _compiled(document: str) -> bytes:
    flatc = executorch_package() / "data/bin/flatc"
    schema = executorch_package() / "schema/program.fbs"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "program.json")
        source.write_text(document)
        subprocess.run([flatc, "--binary", "-o", folder, schema, source], check=True, cwd=folder)
        return source.with_suffix(".pte").read_bytes()
