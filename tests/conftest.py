from __future__ import annotations

from pathlib import Path

import pytest

from host.home import LabHome


@pytest.fixture(scope="session")
def runner() -> Path:
    """The real runner."""
    path = LabHome(Path()).runner
    if not path.is_file():
        pytest.fail(f"no runner at {path}: run `make runner`")
    return path
