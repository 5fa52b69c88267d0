"""Programs of other dtypes, inputs and operators than a network for images has.

Each is a function that exports one, in seconds, and only once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

EVERY_DTYPE = (
    *(torch.float32, torch.float16, torch.int64, torch.int32),
    *(torch.int8, torch.uint8, torch.bool),
)


class OnePlus(nn.Module):
    def forward(self, *inputs: Tensor) -> list[Tensor]:
        return [~x if x.dtype is torch.bool else x + 1 for x in inputs]


class Tokens(nn.Module):
    """Ids of 1,000 tokens, and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.linear = nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x: Tensor = self.norm(self.linear(self.embedding(ids)).relu())
        return x.masked_fill(~mask.unsqueeze(-1), 0.0)


class Portable(nn.Module):
    """Operators that no backend takes."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        values, indices = torch.topk(x, 3)
        return torch.cumsum(x, 1) + torch.erf(y), values, indices, torch.where(x > 0, x, y)


class Sort(nn.Module):
    """An operator that ExecuTorch exports and has no kernel for."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(x, 1)[0]


class Scaled(nn.Module):
    def forward(self, x: Tensor, factor: int) -> Tensor:
        return x * factor


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 -- as torch.cond has it
        return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))


def lower(
    network: nn.Module,
    inputs: tuple[Any, ...],
    delegated: bool = True,
    dynamic_shapes: Any = None,  # noqa: ANN401 -- as torch.export has them
    partitioner: Any = None,  # noqa: ANN401 -- ExecuTorch is untyped
) -> Any:  # noqa: ANN401
    """ExecuTorch's program manager of it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from latlab.export.lowering.repairs import operators_listed_once

    partitioners = [partitioner or XnnpackPartitioner()] if delegated else []
    with operators_listed_once():
        exported = torch.export.export(network, inputs, dynamic_shapes=dynamic_shapes)
        return to_edge_transform_and_lower(exported, partitioner=partitioners).to_executorch()


@functools.cache
def every_dtype() -> bytes:
    inputs = tuple(torch.zeros(2, 3, dtype=dtype) for dtype in EVERY_DTYPE)
    return bytes(lower(OnePlus(), inputs, delegated=False).buffer)


@functools.cache
def float64() -> bytes:
    return bytes(lower(OnePlus(), (torch.zeros(2, 3, dtype=torch.float64),), False).buffer)


@functools.cache
def tokens() -> bytes:
    """1x16 of int64 and 1x16 of bool."""
    ids = torch.zeros(1, 16, dtype=torch.int64)
    return bytes(lower(Tokens().eval(), (ids, torch.ones(1, 16, dtype=torch.bool))).buffer)


@functools.cache
def portable() -> bytes:
    """Twice 1x32."""
    return bytes(lower(Portable(), (torch.zeros(1, 32), torch.zeros(1, 32)), False).buffer)


@functools.cache
def unlinked() -> bytes:
    """1x32."""
    return bytes(lower(Sort(), (torch.zeros(1, 32),), False).buffer)


@functools.cache
def with_a_number() -> bytes:
    """2x3 and an int."""
    return bytes(lower(Scaled(), (torch.zeros(2, 3), 3), False).buffer)


@functools.cache
def dynamic() -> bytes:
    """1 to 16 rows of 8."""
    rows = torch.export.Dim("rows", min=1, max=16)
    return bytes(lower(nn.Linear(8, 8), (torch.zeros(4, 8),), dynamic_shapes=({0: rows},)).buffer)


@functools.cache
def branching() -> bytes:
    """1x8."""
    return bytes(lower(Branch(), (torch.zeros(1, 8),), delegated=False).buffer)


@functools.cache
def int8() -> bytes:
    """1x3x16x16."""
    from latlab.domain.precision import Precision
    from latlab.export import export_program

    layers = [
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    ]
    calibration = [torch.randn(1, 3, 16, 16) for _ in range(4)]
    network = nn.Sequential(*layers).eval()
    return export_program(network, (1, 3, 16, 16), Precision.INT8, calibration)[1]


@functools.cache
def dynamically_quantized() -> bytes:
    """1x64."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
        XnnpackDynamicallyQuantizedPartitioner,
    )

    return bytes(
        lower(
            _quantized(is_dynamic=True),
            (torch.zeros(1, 64),),
            partitioner=XnnpackDynamicallyQuantizedPartitioner(),
        ).buffer
    )


@functools.cache
def quantized_operators() -> bytes:
    """1x64, quantized and left outside the delegate."""
    import executorch.kernels.quantized  # noqa: F401 -- gives the operators their out variants

    return bytes(lower(_quantized(is_dynamic=False), (torch.zeros(1, 64),), False).buffer)


def _quantized(is_dynamic: bool) -> nn.Module:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    example = (torch.randn(1, 64),)
    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=is_dynamic)
    graph = torch.export.export(nn.Sequential(*layers).eval(), example).module()
    observed = prepare_pt2e(graph, XNNPACKQuantizer().set_global(config))
    observed(*example)
    quantized: nn.Module = convert_pt2e(observed)
    return quantized


# What runs on any device: the program, and its inputs as the runner takes them.
RUNNABLE: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "every dtype": (
        every_dtype,
        tuple(f"2x3:{str(dtype).removeprefix('torch.')}" for dtype in EVERY_DTYPE),
    ),
    "tokens": (tokens, ("1x16:int64:0..999", "1x16:bool")),
    "portable": (portable, ("1x32", "1x32")),
    "dynamic": (dynamic, ("3x8",)),
    "branching": (branching, ("1x8",)),
    "int8": (int8, ("1x3x16x16",)),
    "dynamically quantized": (dynamically_quantized, ("1x64",)),
    "quantized operators": (quantized_operators, ("1x64",)),
}
