"""Export: from PyTorch modules to Programs. The one place of host that knows torch, and
it imports torch only when something is exported."""

from host.export.exporter import EXPORTER, export_program

__all__ = ["EXPORTER", "export_program"]
