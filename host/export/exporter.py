"""A PyTorch module to a Program and its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from host.domain import BACKEND, Program
from host.errors import ExportError
from latency_models.kernel import Shape

if TYPE_CHECKING:  # importing them takes seconds, and most commands export nothing
    from torch import nn

EXPORTER = f"executorch {version('executorch')}"


def export_program(module: nn.Module, input_shape: Shape) -> tuple[Program, bytes]:
    """`module` as it computes in evaluation mode, lowered for XNNPACK, for one input of
    `input_shape` in float32. The module itself is left as it is.

    Raises ExportError for weights that are no numbers, layers of zero width, an input the
    network cannot take, and whatever ExecuTorch cannot lower.
    """
    with _quiet():
        from host.export import stock
        from host.export.preparation import prepare

        prepared = prepare(module, input_shape)
        try:
            data, kernels, undelegated = stock.lower(prepared.module, input_shape)
        except Exception as error:
            raise ExportError(f"ExecuTorch cannot lower this network: {error}") from error
    program = Program(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        backend=BACKEND,
        input_shapes=(input_shape,),
        kernels=kernels,
        undelegated=undelegated,
        exporter=f"stock {EXPORTER}",
    )
    return program, data


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the export stack's chatter, which users can do nothing about, off the screen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
