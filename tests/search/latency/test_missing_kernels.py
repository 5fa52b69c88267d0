from __future__ import annotations

from pathlib import Path

import pytest

from latlab.domain import kernel as k
from latlab.domain.errors import InvalidRequest
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.program import Program, ProgramFile
from latlab.export import ExportPool, ProgramCache
from latlab.export.user_network import UserNetwork
from search.latency.missing_kernels import missing_kernels, operator_programs
from search.latency.networks import program_source

SHAPE = (1, 14, 14, 32)
MODULE = """
from torch import nn
def net():
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.GELU())
def example_inputs():
    return (1, 3, 16, 16)
"""


def depthwise(size: int, channels: int = 32) -> Kernel:
    shape = (*SHAPE[:-1], channels)
    return Kernel(k.DEPTHWISE_CONV2D, (shape,), shape, (size, size), groups=channels)


def measured(*kernels: Kernel, traced: bool = True) -> MeasuredNetwork:
    return MeasuredNetwork(kernels, (1e3,) * len(kernels) if traced else None, 5e3, 4e3, 6e3, 0)


def test_kernels_unlike_all_traced_ones_are_missing() -> None:
    add = Kernel(k.ADD, (SHAPE, SHAPE), SHAPE)
    near, far, new = depthwise(3, 48), depthwise(3, 512), depthwise(7)
    known = [measured(depthwise(3)), measured(new, traced=False)]
    assert missing_kernels([near, far, add, new, new], known) == [far, add, new]


def test_only_operators_with_missing_kernels_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_net.py").write_text(MODULE)
    shape = (1, 16, 16, 8)
    missing = [Kernel(k.DEPTHWISE_CONV2D, (shape,), shape, (7, 7), groups=8)]
    with ExportPool(ProgramCache(tmp_path / "cache")) as pool:
        [file] = operator_programs([program_source(UserNetwork("my_net.py:net"))], missing, pool)
    [kernel] = [each for each in file.program.kernels if each.kind == k.DEPTHWISE_CONV2D]
    assert (kernel.kernel_size, kernel.output) == ((7, 7), shape)


def test_a_program_cannot_be_taken_apart(tmp_path: Path) -> None:
    program = ProgramFile(Program("0" * 64, 1, "xnnpack", (), (), (), ""), Path("model.pte"))
    with (
        ExportPool(ProgramCache(tmp_path)) as pool,
        pytest.raises(InvalidRequest, match=r"model\.pte .*latlab measure"),
    ):
        operator_programs([program], [depthwise(7)], pool)
