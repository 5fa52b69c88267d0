"""The lab's sentinel: a small network that shows whether a device is as fast as before.

It has the kernels that most networks spend their time in, and belongs to no search space.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Shape
from latlab.domain.program import ProgramFile
from latlab.export.pool import ExportPool, ExportSpec
from latlab.export.program_cache import ProgramCache

if TYPE_CHECKING:
    from torch import nn

SEED = 0
INPUT_SHAPE: Shape = (1, 3, 192, 192)


def build_reference() -> nn.Module:
    """Return the network, which takes 3 to 6 ms on one core of a server.

    Every change of it needs a new key in `REFERENCE`, and begins a new baseline.
    """
    import torch
    from torch import nn

    def conv(inputs: int, outputs: int, size: int, stride: int, groups: int = 1) -> list[nn.Module]:
        padding = size // 2
        layer = nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups)
        return [layer, nn.ReLU()]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return nn.Sequential(
            *conv(3, 32, 3, stride=2),
            *conv(32, 32, 3, stride=1, groups=32),
            *conv(32, 64, 1, stride=1),
            *conv(64, 64, 3, stride=2),
            *conv(64, 128, 3, stride=2),
            *conv(128, 128, 5, stride=1, groups=128),
            *conv(128, 256, 1, stride=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(256, 1000),
        ).eval()


def _make() -> tuple[nn.Module, Shape]:
    return build_reference(), INPUT_SHAPE


REFERENCE = ExportSpec("sentinel 1", _make)


def export_sentinel(exports: Path) -> ProgramFile:
    """Return the sentinel's program, which is exported once and kept in the folder `exports`.

    Raises:
        ExportError: The network cannot be exported.
    """
    with ExportPool(ProgramCache(exports)) as pool:
        [outcome] = pool.export_all([REFERENCE])
    if isinstance(outcome, ExportError):
        raise outcome
    return outcome
