"""A PyTorch module to a Program and its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from host.domain import BACKEND, Program, TensorSpec
from host.errors import ExportError
from host.export.quiet import quiet
from latency_models.kernel import Kernel, Shape

if TYPE_CHECKING:  # importing torch takes seconds, and most commands export nothing
    from torch import Tensor, nn

EXPORTER = f"executorch {version('executorch')}"


def export_program(module: nn.Module, input_shape: Shape) -> tuple[Program, bytes]:
    """`module` as it computes in evaluation mode, lowered for XNNPACK, for one input of
    `input_shape` in float32. The module itself is left as it is.

    `exporter` tells which way it went: directly, or by ExecuTorch's own lowering where the
    network holds anything out of the ordinary. Raises ExportError for weights that are no
    numbers, layers of zero width, an input the network cannot take, and whatever
    ExecuTorch cannot lower.
    """
    with quiet():
        from host.export import proof

        directly = proof.direct_lowering_holds()
        way, data, kernels, undelegated = _lower(module, input_shape, directly)
    if not directly:
        warnings.warn(
            f"direct lowering was proved with {proof.PROVED_WITH} and does not match {EXPORTER}: "
            "every export takes ExecuTorch's own, slower one",
            stacklevel=2,
        )
    return _program(way, data, kernels, undelegated, input_shape), data


def export_int8(
    module: nn.Module, input_shape: Shape, calibration: Sequence[Tensor]
) -> tuple[Program, bytes]:
    """The same with weights and activations quantized to int8 after training: weights by
    channel, activations by the range they have over `calibration`, inputs of `input_shape`.

    Raises ExportError.
    """
    with quiet():
        from host.export import int8, preparation, stock

        prepared = preparation.prepare(module, input_shape)
        try:
            quantized = int8.quantize(prepared, calibration)
            data, kernels, undelegated = stock.lower(quantized, input_shape)
        except Exception as error:
            raise ExportError(f"ExecuTorch cannot quantize this network: {error}") from error
    return _program("int8", data, kernels, undelegated, input_shape), data


def _program(
    way: str,
    data: bytes,
    kernels: tuple[Kernel, ...],
    undelegated: tuple[str, ...],
    input_shape: Shape,
) -> Program:
    return Program(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        backend=BACKEND,
        inputs=(TensorSpec(input_shape),),
        kernels=kernels,
        undelegated=undelegated,
        exporter=f"{way} {EXPORTER}",
    )


def _lower(
    module: nn.Module, input_shape: Shape, directly: bool
) -> tuple[str, bytes, tuple[Kernel, ...], tuple[str, ...]]:
    from host.export import direct, edge, preparation, stock

    module = preparation.prepare(module, input_shape)
    if directly:
        with contextlib.suppress(edge.Unsupported):
            data, kernels = direct.lower(module)
            return "direct", data, kernels, ()
    try:
        return "stock", *stock.lower(module, input_shape)
    except Exception as error:
        raise ExportError(f"ExecuTorch cannot lower this network: {error}") from error
