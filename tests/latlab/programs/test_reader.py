"""What a `.pte` file holds is read from the file alone, whoever made it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import cycle
from typing import Any, get_args

import pytest
import torch
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as xnn
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    serialize_xnnpack_binary,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from latlab.domain.kernel import Kernel, Shape
from latlab.domain.program import Program, TensorSpec
from latlab.export import export_program
from latlab.export.lowering.proof import captured_graphs
from latlab.programs.reader import read_program
from latlab.programs.tables import PteFile, UnreadableProgram, xnnpack_graph
from latlab.programs.xnnpack_kernels import _node_table, graph_kernels
from tests.device_agent.conftest import executorch_package
from tests.latlab.programs.captured_kernels import Graphs, listed
from tests.latlab.programs.captured_kernels import graph_kernels as listed_nodes
from tests.pte_file import Json, call, instruction, plan, pte_file, tensor, value


class Branches(nn.Module):
    """Operators of two and of four inputs, and one that no delegate takes."""

    def forward(self, x: Tensor) -> Tensor:
        parts = [x * 2, x + x, torch.sigmoid(x), x.clamp(0, 6)]
        return torch.cumsum(torch.cat(parts, dim=1), dim=1)


NETWORKS: dict[str, tuple[nn.Module, Shape]] = {
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        ),
        (1, 3, 16, 16),
    ),
    "branches": (Branches(), (1, 2, 4, 4)),
    "pools": (nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(2, 3, 3)), (1, 2, 8, 8)),
    "attention": (nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU()), (1, 4, 8)),
    "half": (nn.Linear(4, 4).half(), (1, 4)),
}


@dataclass(frozen=True)
class Exported:
    program: Program
    data: bytes
    graphs: Graphs


@cache
def exported(name: str) -> Exported:
    torch.manual_seed(0)
    network, shape = NETWORKS[name]
    with captured_graphs() as graphs:
        return Exported(*export_program(network.eval(), shape), graphs)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_lists_what_was_written_into_it(name: str) -> None:
    file = exported(name)
    listing = read_program(file.data)
    assert (listing.kernels, listing.undelegated) == listed(file.data, file.graphs)
    assert listing.inputs == file.program.inputs
    assert listing.kernels == file.program.kernels
    assert listing.planned_bytes > 0


def test_a_kernel_outside_the_delegate_has_the_dtype_of_its_output() -> None:
    ids, mask = tensor((1, 3), "LONG"), tensor((1, 3), "BOOL")
    values = [tensor((10, 4), "HALF", data_buffer_idx=1), tensor((1, 3, 4), "HALF")]
    listing = read_program(
        pte_file(plan([ids, mask], values, [call(0, 2, 0, 3, 3)], ["aten::embedding"]))
    )
    assert listing.inputs == (TensorSpec((1, 3), "int64"), TensorSpec((1, 3), "bool"))
    assert listing.kernels == (Kernel("portable:embedding", ((1, 3),), (1, 3, 4), dtype="float16"),)
    assert listing.undelegated == ("embedding",)


def test_every_node_of_xnnpack_is_a_kernel() -> None:
    """With operands of every datatype, floating and quantized."""
    values = [
        xnn.XNNTensorValue(datatype, 4, [1, 8, 8, 2 + number], 0, number, 0, number)
        for number, datatype in enumerate(xnn.XNNDatatype)
    ]
    quantized = [xnn.XNNQuantizedTensorValue(value, xnn.PerTensorQuant(0.5, 0)) for value in values]
    types = get_args(xnn.XNodeUnion)
    nodes = [
        xnn.XNode(_filled(node, number), number, limits)
        for number, (node, limits) in enumerate(zip(types, cycle(LIMITS), strict=False))
    ]
    graph = xnn.XNNGraph(
        "0", nodes, [*map(xnn.XValue, values), *map(xnn.XValue, quantized)], 0, [], [], []
    )
    kernels = graph_kernels(
        xnnpack_graph(memoryview(serialize_xnnpack_binary(graph, bytearray()))), ()
    )
    assert kernels == listed_nodes(graph)
    assert len(kernels) == len(types)
    assert {"float32", "float16", "bfloat16", "qint8", "qdint8"} < {k.dtype for k in kernels}


LIMITS = [None, *(xnn.OutputMinMax(*each) for each in [(0.0, "inf"), (0.0, 6.0), (-1.0, 1.0)])]


def _filled(node: type, number: int) -> Any:  # noqa: ANN401 -- one of fifty types
    """A node with different numbers in all of its fields."""
    values: dict[str, Any] = {}
    for place, field in enumerate(fields(node)):
        if field.name.endswith("_id"):
            values[field.name] = (number + place) % (2 * len(xnn.XNNDatatype))
        else:
            values[field.name] = [1, 2] if "List" in str(field.type) else 1 + place
    return node(**values)


def test_every_type_of_node_has_its_table() -> None:
    """By the schema in the installed wheel, which may be newer than the generated code."""
    path = executorch_package() / "backends/xnnpack/serialization/runtime_schema.fbs"
    union = path.read_text().split("union XNodeUnion {")[1].split("}")[0]
    types = [line.strip(" ,").split(": ") for line in union.strip().splitlines()]
    assert {name: _node_table(name).__name__ for name, *_ in types} == {
        name: table[0] if table else name for name, *table in types
    }


def test_the_method_forward_is_read_among_several() -> None:
    methods = [plan([tensor((1, size))], name=name) for size, name in [(2, "a"), (3, "forward")]]
    assert read_program(pte_file(*methods)).inputs == (TensorSpec((1, 3)),)
    assert read_program(pte_file(methods[0])).inputs == (TensorSpec((1, 2)),)
    with pytest.raises(UnreadableProgram, match=r"no method forward, .* but a and b"):
        read_program(pte_file(plan(name="a"), plan(name="b")))


def test_constants_and_control_flow_do_no_harm() -> None:
    """What moves, frees and branches is no kernel; a kernel may compute a number."""
    instructions = [
        call(0, 0, 1),
        instruction("JumpFalseCall", cond_value_index=1, destination_instruction=3),
        instruction("MoveCall", move_from=0, move_to=2),
        instruction("FreeCall", value_index=0),
    ]
    values = [value("Int", int_val=3), tensor((2,), data_buffer_idx=1), value("Null")]
    branching = plan([tensor((4, 8))], values, instructions, ["aten::sym_size"], outputs=[2])
    [kernel] = read_program(pte_file(branching)).kernels
    assert kernel == Kernel("portable:sym_size", ((4, 8),), (), dtype="int64")


def test_a_dynamic_shape_is_read_at_its_upper_limit() -> None:
    bound = tensor((16, 8), shape_dynamism="DYNAMIC_BOUND")
    assert read_program(pte_file(plan([bound]))).inputs == (TensorSpec((16, 8)),)


EXTERNAL = {"fully_qualified_name": "w", "location": "EXTERNAL"}


@pytest.mark.parametrize(
    ("unfit", "message"),
    [
        (plan([tensor((8,), shape_dynamism="DYNAMIC_UNBOUND")]), "input 0 .* without a limit"),
        (plan([tensor((1,)), value("Int", int_val=1)]), "input 1 .* not a tensor"),
        (plan([tensor((1,), "DOUBLE")]), "input 0 .* float64"),
        (plan(values=[tensor((9,), extra_tensor_info=EXTERNAL)]), r"another file \(\.ptd\)"),
        (plan([tensor((-1,))]), "damaged"),
        (plan(instructions=[call(0, 0)], operators=["\x1b[2J"], values=[tensor((1,))]), "name"),
        (plan(instructions=[call(7, 0)], values=[tensor((1,))]), "damaged"),
    ],
)
def test_a_program_that_cannot_be_measured_says_why(unfit: Json, message: str) -> None:
    with pytest.raises(UnreadableProgram, match=message) as refused:
        read_program(pte_file(unfit))
    assert str(refused.value).isprintable()


def test_weights_of_xnnpack_in_another_file_are_named() -> None:
    """The names stay in the delegate where its weights are moved to a file of their own."""
    data = exported("convolutions").data
    [name, *_] = sorted(PteFile(data).named_data())
    moved = data.replace(name, b"x" * len(name), 1)
    with pytest.raises(UnreadableProgram, match=r"another file \(\.ptd\)"):
        read_program(moved)


def test_a_truncated_file_says_how_much_is_missing() -> None:
    data = exported("convolutions").data
    with pytest.raises(UnreadableProgram, match=f"truncated: it has {len(data) - 100} bytes"):
        read_program(data[:-100])


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\0\0\0\0ET12", b"\0" * 64, b"{}" * 100], ids=repr
)
def test_a_file_that_is_no_program_says_so(data: bytes) -> None:
    with pytest.raises(UnreadableProgram):
        read_program(data)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["convolutions", "branches"]),
    flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    kept=st.floats(0, 1),
)
def test_a_damaged_file_is_listed_or_refused(
    name: str, flips: Sequence[tuple[int, int]], kept: float
) -> None:
    data = exported(name).data
    damaged = bytearray(data[: max(1, round(kept * len(data)))] if kept < 0.5 else data)
    for position, byte in flips:
        damaged[position % len(damaged)] = byte
    with contextlib.suppress(UnreadableProgram):
        assert isinstance(read_program(bytes(damaged)).kernels, tuple)


def test_the_reader_needs_no_torch() -> None:
    code = "import sys, latlab.programs.reader_process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
