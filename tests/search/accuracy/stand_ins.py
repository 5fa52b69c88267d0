"""What worker processes do in place of a training. Nothing here imports torch, which would take
each worker seconds."""

from __future__ import annotations

import os
import time

from search.space.architecture import Architecture, Block

LESS = Architecture(8, (Block("dconv", 1, 3, 2, 0.0, "none", 16, 1),), 64)


def dies_on_less(index: int, architecture: Architecture, *unused: object) -> tuple[int, float]:
    if architecture == LESS:
        os._exit(1)
    return index, 0.5


def hangs(*unused: object) -> None:
    time.sleep(60)


_kept: list[bytes] = []


def grows(index: int, *unused: object) -> tuple[int, float]:
    """Keep more memory than joblib lets a process gain; it looks once a second."""
    time.sleep(1.1)
    _kept.append(b"x" * (310 << 20))
    return index, 0.5
