"""Let one thread export at a time.

torch.fx, torch.export and ExecuTorch patch classes and keep state that the whole process
shares, so two exports at once would spoil each other and every later one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from latlab.domain.errors import ExportError

TURN_DEADLINE_S = 1800  # enough for a few dozen exports by stock lowering

_turn = threading.RLock()


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread of this process exports, and keep others waiting meanwhile.

    Turns of one thread may be nested.

    Raises:
        ExportError: Other threads have exported for TURN_DEADLINE_S.
    """
    if not _turn.acquire(timeout=TURN_DEADLINE_S):
        raise ExportError(
            f"other threads of this process have been exporting for {TURN_DEADLINE_S} s: "
            "export in fewer threads, or in processes of their own"
        )
    try:
        yield
    finally:
        _turn.release()
