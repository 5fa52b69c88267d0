"""Export: from PyTorch modules to Programs. The one place of host that knows torch, and
it imports torch only when something is exported."""

from host.export.cache import ProgramCache
from host.export.exporter import EXPORTER, export_int8, export_program
from host.export.pool import ExportPool, ExportSpec

__all__ = ["EXPORTER", "ExportPool", "ExportSpec", "ProgramCache", "export_int8", "export_program"]
