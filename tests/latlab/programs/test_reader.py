"""What a `.pte` file holds is read from the file alone, whoever made it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from latlab.domain.kernel import Shape
from latlab.domain.program import Program, TensorSpec
from latlab.export import export_program
from latlab.programs.reader import read_program
from latlab.programs.tables import UnreadableProgram


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


@cache
def exported(name: str) -> tuple[Program, bytes]:
    torch.manual_seed(0)
    network, shape = NETWORKS[name]
    return export_program(network.eval(), shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_lists_what_its_export_listed(name: str) -> None:
    program, data = exported(name)
    listing = read_program(data)
    assert listing.kernels == program.kernels
    assert listing.undelegated == program.undelegated
    assert listing.inputs == program.inputs
    assert listing.planned_bytes > 0


def test_inputs_have_their_dtypes() -> None:
    class Embedding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            return self.table(ids) * mask.unsqueeze(-1)

    from executorch.exir import to_edge

    ids, mask = torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.bool)
    program = to_edge(torch.export.export(Embedding(), (ids, mask))).to_executorch()
    listing = read_program(program.buffer)
    assert listing.inputs == (TensorSpec((1, 3), "int64"), TensorSpec((1, 3), "bool"))
    assert "portable:embedding" in {kernel.kind for kernel in listing.kernels}


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
    _, data = exported(name)
    damaged = bytearray(data[: max(1, round(kept * len(data)))] if kept < 0.5 else data)
    for position, value in flips:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(UnreadableProgram):
        assert isinstance(read_program(bytes(damaged)).kernels, tuple)


def test_the_reader_needs_no_torch() -> None:
    code = "import sys, latlab.programs.reader; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
