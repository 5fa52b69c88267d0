"""Which modules an agent needs: its bundle carries these, beside what pip would install."""

from __future__ import annotations

from pathlib import Path

_PATTERNS = (
    "device_agent/*.py",
    "device_agent/access/*.py",
    "device_agent/machine/*.py",
    "latlab/__init__.py",
    "latlab/common/*.py",
    "latlab/domain/*.py",
    "latlab/v1/__init__.py",
    "latlab/v1/common_pb2*.py",
    "latlab/v1/device_agent_pb2*.py",
)


def agent_sources(root: Path) -> dict[str, Path]:
    """The files of the agent in the repository or bundle at `root`, by their paths in it."""
    return {
        path.relative_to(root).as_posix(): path
        for pattern in _PATTERNS
        for path in sorted(root.glob(pattern))
    }
