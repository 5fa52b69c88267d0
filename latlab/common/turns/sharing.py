"""Share this machine with the visits of the lab's own device."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latlab.domain.errors import Unavailable

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0


@contextmanager
def sharing_machine(
    folder: Path, process_id: int | None = None, spared: int | None = None
) -> Iterator[None]:
    """Stop all that this process has started while the lab visits this machine's own processor.

    A visit begins when everything stands still. Visits of other devices stop nothing, and neither
    do those of a lab with another folder, on another machine for example. Between visits that
    come without a break, the work runs for a quarter of the time.

    Args:
        folder: The lab's folder.
        process_id: The process whose descendants are stopped; None for this process.
        spared: The id of a process that goes on, with all that it has started: the lab, if this
            process has started it.

    Raises:
        Unavailable: The process that does this could not start.
    """
    guarded = os.getpid() if process_id is None else process_id
    guardian = subprocess.Popen(
        [
            *(sys.executable, "-m", "latlab.common.turns.guardian"),
            *(str(folder), str(guarded), str(spared or 0)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C or a hang-up is not for it
    )
    assert guardian.stdin is not None
    assert guardian.stdout is not None
    try:
        readable, _, _ = select.select([guardian.stdout], [], [], START_TIMEOUT_S)
        if not (readable and guardian.stdout.readline()):
            raise Unavailable(
                f"the process that stops work during visits did not start in {START_TIMEOUT_S:g} s"
            )
        yield
    finally:
        guardian.stdin.close()
        guardian.stdout.close()
        try:
            guardian.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            guardian.kill()
            guardian.wait()
