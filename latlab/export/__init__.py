"""Export PyTorch modules to Programs.

torch is imported only when something is exported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latlab.export.exporter import EXPORTER, export_program
from latlab.export.pool import ExportPool, ExportSpec
from latlab.export.program_cache import ProgramCache

if TYPE_CHECKING:  # the types of arguments, which `latlab.client` names without importing torch
    from torch.nn import Module as Module

    from latlab.export.execution.example import Inputs as Inputs

__all__ = ["EXPORTER", "ExportPool", "ExportSpec", "ProgramCache", "export_program"]
