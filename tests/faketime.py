"""Clocks that jump: the wall clock of processes that a test starts, and never this machine's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


class NoFaketime(Exception):
    """Debian's faketime is not installed; says how to install it."""


@contextmanager
def jumping_clock(folder: Path) -> Iterator[Callable[[float], None]]:
    """Yield what sets the clock of all processes that are started in the block, from then on as
    many seconds ahead of this machine's as it is told. Times since boot stay true. Raises
    NoFaketime."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        raise NoFaketime("faketime is not installed: apt install faketime")
    offset, draft = folder / "clock_offset", folder / "clock_offset.new"

    def jump(seconds: float) -> None:
        draft.write_text(f"{seconds:+.3f}")
        draft.replace(offset)

    jump(0)
    environment = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with patch.dict(os.environ, environment):
        yield jump
