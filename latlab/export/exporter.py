"""Export a PyTorch module to a Program and its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision
from latlab.domain.program import BACKEND, KernelSource, Program
from latlab.export.execution.quiet import quiet

if TYPE_CHECKING:  # importing torch takes seconds, and most commands export nothing
    from torch import nn

    from latlab.export.execution.example import Inputs
    from latlab.export.lowering.ways import Lowered

EXPORTER = f"executorch {version('executorch')}"

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported program.

    Attributes:
        program: The program.
        data: Its bytes.
        sources: Where each kernel comes from in the module's code, parallel to the program's
            kernels; empty where nothing is known.
    """

    program: Program
    data: bytes
    sources: tuple[KernelSource | None, ...]


def export_program(
    module: nn.Module,
    inputs: Inputs,
    precision: Precision = Precision.FP32,
    calibration: Sequence[Inputs] = (),
    memory_bytes: int | None = None,
) -> tuple[Program, bytes]:
    """Lower a module for XNNPACK as it computes in evaluation mode.

    The program is run on its inputs and compared with the module, so it computes what the
    module computes. If a program of direct lowering does not, a warning is logged and
    ExecuTorch's own lowering is used.

    Where the module's code reads a value, as an `if` does, and torch.export cannot follow, the
    program has the value and the branch of the given inputs. `Program.exporter` says so.

    The module and the process are left as they were, even after an error. Threads may export at
    the same time; they take turns. Meanwhile other threads may run other modules, but nothing
    may run or train this one, and nothing else may trace (torch.fx, torch.export). Python's
    warnings are dropped for the whole process while an export runs.

    Args:
        module: Any module.
        inputs: Its inputs: a shape, a TensorSpec or a tensor; a list or tuple of them for several
            inputs; or a mapping of them for keyword inputs. The dtype of an input that is given
            as its shape is float16 if all weights are, else float32.
        precision: What the program computes with. FP32 leaves the module as it is.
        calibration: For INT8, inputs like `inputs`. The activations' ranges over them are what
            int8 spans. Without them random ones are used.
        memory_bytes: The memory of the device that will run the program. A module whose weights
            need more is refused at once. None: it is not known.

    Returns:
        The program and its bytes. `Program.exporter` begins with "direct" for direct lowering,
        and with "stock" for ExecuTorch's own, which takes what the direct way cannot.

    Raises:
        ExportError: A weight is NaN or infinite, the weights exceed the memory, a layer has zero
            width, the network does not take the input, the network computes something else at
            every call, ExecuTorch cannot lower it, or the program does not compute what the
            network computes.
    """
    exported = export_with_sources(module, inputs, precision, calibration, memory_bytes)
    return exported.program, exported.data


def export_with_sources(
    module: nn.Module,
    inputs: Inputs,
    precision: Precision = Precision.FP32,
    calibration: Sequence[Inputs] = (),
    memory_bytes: int | None = None,
) -> Exported:
    """Do what `export_program` does, and say where the kernels come from as well."""
    with _every_error_is_an_export_error(), quiet(), _kept_environment():
        from latlab.export.lowering import proof, ways

        directly = proof.direct_lowering_holds()
        lowered = ways.lower(module, inputs, precision, calibration, directly, memory_bytes)
    for doubt in lowered.doubts:
        _log.warning("%s; ExecuTorch's own lowering is used", doubt)
    if not directly:
        warnings.warn(
            f"direct lowering was proved with {proof.PROVED_WITH} and does not match {EXPORTER}: "
            "every export takes ExecuTorch's own, slower one",
            stacklevel=3,
        )
    return Exported(_program(lowered), lowered.program.data, lowered.program.sources)


@contextlib.contextmanager
def _every_error_is_an_export_error() -> Iterator[None]:
    """Raise any error of the module's code, torch or ExecuTorch as an ExportError."""
    try:
        yield
    except (ExportError, MemoryError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise ExportError(f"ExecuTorch cannot export this network: {kind}: {error}") from error


@contextlib.contextmanager
def _kept_environment() -> Iterator[None]:
    """Remove the environment variable that importing torch's compiler sets."""
    is_set = _TORCH_CACHE in os.environ
    try:
        yield
    finally:
        if not is_set:
            os.environ.pop(_TORCH_CACHE, None)


def _program(lowered: Lowered) -> Program:
    data, kernels, undelegated, _ = lowered.program
    return Program(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        backend=BACKEND,
        inputs=lowered.inputs,
        kernels=kernels,
        undelegated=undelegated,
        exporter=f"{lowered.way} {EXPORTER}{lowered.note}",
    )
