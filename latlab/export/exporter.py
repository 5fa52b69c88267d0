"""A PyTorch module to a Program and its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Shape
from latlab.domain.program import BACKEND, Program, TensorSpec
from latlab.export.execution.quiet import quiet

if TYPE_CHECKING:  # importing torch takes seconds, and most commands export nothing
    from torch import Tensor, nn

    from latlab.export.lowering.ways import Lowered

EXPORTER = f"executorch {version('executorch')}"

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"

_log = logging.getLogger(__name__)


def export_program(module: nn.Module, input_shape: Shape) -> tuple[Program, bytes]:
    """Lower `module` for XNNPACK as it computes in evaluation mode.

    The program takes one input of `input_shape`, in float16 if all weights are float16, else
    in float32. `exporter` says which way it went: directly, or by ExecuTorch's own lowering
    where the network holds anything out of the ordinary.

    The program is run once on a random input and compared with the module, so it computes
    what the module computes. A program of direct lowering that does not is dropped for
    ExecuTorch's own, and a warning is logged.

    The module and the process are left as they were, whatever happens. Threads may export at
    the same time; they take turns. Meanwhile other threads may run other modules, but nothing
    may run or train this one, and nothing else may trace (torch.fx, torch.export). Python's
    warnings are dropped for the whole process while an export runs.

    Raises ExportError for weights that are no numbers, layers of zero width, an input the
    network cannot take, a network that computes something else at every call, whatever
    ExecuTorch cannot lower, and a program that computes something else.
    """
    with _every_error_is_an_export_error("export"), quiet(), _kept_environment():
        from latlab.export.lowering import proof, ways

        directly = proof.direct_lowering_holds()
        lowered = ways.lower(module, input_shape, directly)
    for doubt in lowered.doubts:
        _log.warning("%s; ExecuTorch's own lowering is used", doubt)
    if not directly:
        warnings.warn(
            f"direct lowering was proved with {proof.PROVED_WITH} and does not match {EXPORTER}: "
            "every export takes ExecuTorch's own, slower one",
            stacklevel=2,
        )
    return _program(lowered, tuple(input_shape)), lowered.data


def export_int8(
    module: nn.Module, input_shape: Shape, calibration: Sequence[Tensor]
) -> tuple[Program, bytes]:
    """The same with weights and activations quantized to int8 after training: weights by
    channel, activations by the range they have over `calibration`, inputs of `input_shape`.

    The program is compared with the quantized module on the first of these inputs.

    Raises ExportError.
    """
    with _every_error_is_an_export_error("quantize"), quiet(), _kept_environment():
        from latlab.export.lowering import ways

        lowered = ways.lower_int8(module, input_shape, calibration)
    return _program(lowered, tuple(input_shape)), lowered.data


@contextlib.contextmanager
def _every_error_is_an_export_error(verb: str) -> Iterator[None]:
    """The module's code, torch and ExecuTorch raise what they like."""
    try:
        yield
    except (ExportError, MemoryError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise ExportError(f"ExecuTorch cannot {verb} this network: {kind}: {error}") from error


@contextlib.contextmanager
def _kept_environment() -> Iterator[None]:
    """torch's compiler, which is imported and never run, writes down where its cache is."""
    is_set = _TORCH_CACHE in os.environ
    try:
        yield
    finally:
        if not is_set:
            os.environ.pop(_TORCH_CACHE, None)


def _program(lowered: Lowered, input_shape: Shape) -> Program:
    return Program(
        sha256=hashlib.sha256(lowered.data).hexdigest(),
        size_bytes=len(lowered.data),
        backend=BACKEND,
        inputs=(TensorSpec(input_shape, lowered.dtype),),
        kernels=lowered.kernels,
        undelegated=lowered.undelegated,
        exporter=f"{lowered.way} {EXPORTER}",
    )
