"""Export PyTorch modules to Programs.

torch is imported only when something is exported.
"""

from latlab.export.exporter import EXPORTER, export_program
from latlab.export.pool import ExportPool, ExportSpec
from latlab.export.program_cache import ProgramCache

__all__ = ["EXPORTER", "ExportPool", "ExportSpec", "ProgramCache", "export_program"]
