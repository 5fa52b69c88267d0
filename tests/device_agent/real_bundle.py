"""Bundles as `make agent-bundle` builds them, from the downloads of this checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device_agent.bundle import BundleError
from device_agent.bundle.build import build
from device_agent.bundle.toolchain import check_tools
from tests.device_agent.agent_process import REPOSITORY

# The bundle of a machine and its archive.
BuiltBundle = Callable[[str], tuple[Path, Path]]


def build_in(folder: Path, machine: str) -> tuple[Path, Path]:
    """Build a machine's bundle and its archive in `folder`; skip the test without the tools."""
    try:
        check_tools(machine)
    except BundleError as missing:
        pytest.skip(str(missing))
    downloads = REPOSITORY / "build/bundle/downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    (folder / "downloads").symlink_to(downloads)
    return build(machine, folder)
