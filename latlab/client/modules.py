"""Export a caller's PyTorch module for one call of the client."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latlab.common.files import storing
from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile

if TYPE_CHECKING:
    from latlab.export import Inputs, Module


@contextlib.contextmanager
def exported(
    module: Module,
    inputs: Inputs,
    precision: Precision,
    memory_bytes: Callable[[], int | None] = lambda: None,
) -> Iterator[ProgramFile]:
    """Export a module to a file that is removed afterwards.

    Args:
        module: The module.
        inputs: Its inputs.
        precision: What the program computes with.
        memory_bytes: Returns the memory of the device that will run it; None if it is not known.
            It is called once it is clear that there is a module, for it may ask the lab.

    Raises:
        ExportError: The module cannot be exported, or PyTorch is not installed.
        StorageError: The file cannot be written.
    """
    try:
        from latlab.export.execution.weights import require_module
        from latlab.export.exporter import export_with_sources
    except ImportError as error:
        raise ExportError(
            f"{error}: modules are exported with PyTorch, so install latlab[export]"
        ) from error

    require_module(module)
    network = export_with_sources(module, inputs, precision, memory_bytes=memory_bytes())
    with tempfile.TemporaryDirectory(prefix="latlab-") as folder:
        path = Path(folder, "program.pte")
        with storing(path):
            path.write_bytes(network.data)
        yield ProgramFile(network.program, path, network.sources)
