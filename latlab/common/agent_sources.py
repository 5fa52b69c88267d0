"""List the modules of this repository that an agent needs. Its bundle holds them."""

from __future__ import annotations

from pathlib import Path

_PATTERNS = (
    "device_agent/*.py",
    "device_agent/access/*.py",
    "device_agent/machine/*.py",
    "latlab/__init__.py",
    "latlab/common/*.py",
    "latlab/common/telemetry/*.py",
    "latlab/convert/__init__.py",
    "latlab/convert/error*.py",
    "latlab/convert/token_interceptor.py",
    "latlab/domain/*.py",
    "latlab/domain/checks/*.py",
    "latlab/v1/__init__.py",
    "latlab/v1/common_pb2*.py",
    "latlab/v1/device_agent_pb2*.py",
)


def agent_sources(root: Path) -> dict[str, Path]:
    """Return the agent's files in the repository or bundle at `root`, by relative path."""
    return {
        path.relative_to(root).as_posix(): path
        for pattern in _PATTERNS
        for path in sorted(root.glob(pattern))
    }
