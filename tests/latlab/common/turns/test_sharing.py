"""Real processes that compute are stopped during visits, and never for longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from latlab.common.turns.guardian import LEAST_RUN_SHARE, LONGEST_LEAST_RUN_S, Guardian
from latlab.common.turns.locks import TurnLocks
from latlab.common.turns.processes import descendants, let_continue, read_process, stop_descendants
from latlab.common.turns.sharing import sharing_machine
from latlab.domain.errors import Unavailable

DEADLINE_S = 30.0
# A process whose child, and grandchild in a session of its own, sleep in short steps.
FAMILY = """
import subprocess, sys, time
step = "import time\\nwhile True: time.sleep(0.01)"
grandchild = f"[sys.executable, '-c', {step!r}], start_new_session=True"
child = f"import subprocess, sys\\nsubprocess.Popen({grandchild})\\n{step}"
subprocess.Popen([sys.executable, "-c", child])
print("started", flush=True)
while True: time.sleep(0.01)
"""
SHARING = """
import sys, time
from pathlib import Path
from latlab.common.turns.sharing import sharing_machine
from latlab.domain.errors import Unavailable
with sharing_machine(Path(sys.argv[1])):
    exec({family!r})
"""


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def states(process_id: int) -> set[str]:
    """The states of all that the process has started: "S" or "R" where it runs."""
    return {process.state for process in descendants(process_id)}


def run(process_id: int) -> bool:
    return bool(states(process_id)) and states(process_id) <= {"R", "S", "D"}


def stand_still(process_id: int) -> bool:
    return states(process_id) == {"T"}


@contextmanager
def family(*command: str, size: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and wait until its child and its grandchild live."""
    with subprocess.Popen(
        [sys.executable, "-c", *(command or (FAMILY,))], stdout=subprocess.PIPE
    ) as head:
        try:
            assert head.stdout is not None
            assert head.stdout.readline()
            wait_until(lambda: len(descendants(head.pid)) >= size)
            yield head
        finally:
            for process in [*descendants(head.pid)]:
                process.send(signal.SIGKILL)
            head.kill()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TurnLocks]:
    locks = TurnLocks(tmp_path)
    yield locks
    locks.close()


def test_all_that_a_process_has_started_is_stopped_and_continues() -> None:
    with family() as head:
        stopped = stop_descendants(head.pid)
        assert len(stopped) == 2
        assert stand_still(head.pid)
        assert stop_descendants(head.pid) == []  # what stands still is left alone
        let_continue(stopped)
        wait_until(lambda: run(head.pid))
        assert head.poll() is None


def test_what_is_spared_goes_on_with_its_children() -> None:
    with family() as head:
        [child] = [p for p in descendants(head.pid) if p.parent_id == head.pid]
        assert stop_descendants(head.pid, spared={child.id}) == []
        assert run(head.pid)


def test_a_signal_never_reaches_another_process_of_the_same_id() -> None:
    with family() as head:
        process = descendants(head.pid)[0]
        other = type(process)(process.id, process.parent_id, "S", process.started_ticks + 1)
        other.send(signal.SIGKILL)
        process.send(signal.SIGSTOP)
        wait_until(lambda: (now := read_process(process.id)) is not None and now.state == "T")


def test_work_stands_still_when_a_visit_begins_and_goes_on_afterwards(
    tmp_path: Path, lab: TurnLocks
) -> None:
    with family() as head, sharing_machine(tmp_path, head.pid):
        for _ in range(3):
            wait_until(lambda: run(head.pid))
            assert lab.begin_visit(DEADLINE_S)
            assert stand_still(head.pid)
            lab.end_visit()
        wait_until(lambda: run(head.pid))


def test_work_goes_on_when_the_lab_dies_within_a_visit(tmp_path: Path) -> None:
    with family() as head, sharing_machine(tmp_path, head.pid):
        lab = TurnLocks(tmp_path)
        assert lab.begin_visit(DEADLINE_S)
        assert stand_still(head.pid)
        lab.close()  # as the kernel does
        wait_until(lambda: run(head.pid))


def test_work_goes_on_and_visits_wait_for_nobody_when_sharing_ends(
    tmp_path: Path, lab: TurnLocks
) -> None:
    with family() as head:
        with sharing_machine(tmp_path, head.pid):
            assert lab.begin_visit(DEADLINE_S)
            assert stand_still(head.pid)
        assert run(head.pid)
        lab.end_visit()
        assert lab.begin_visit(0)
        assert run(head.pid)


def test_a_killed_process_leaves_nothing_stopped_and_blocks_no_visit(
    tmp_path: Path, lab: TurnLocks
) -> None:
    with family(SHARING.format(family=FAMILY), str(tmp_path), size=3) as head:
        assert lab.begin_visit(DEADLINE_S)
        worked = [p for p in descendants(head.pid) if p.state == "T"]
        assert len(worked) == 2  # the guardian is not among them
        head.kill()
        head.wait()
        wait_until(lambda: all((n := read_process(p.id)) and n.state != "T" for p in worked))
        lab.end_visit()
        wait_until(lambda: lab.begin_visit(0))
        for process in worked:
            process.send(signal.SIGKILL)


def test_a_guardian_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match="did not start"),
        sharing_machine(tmp_path / "missing"),
    ):
        pass


def test_visits_without_a_break_leave_a_share_to_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stop of three seconds is followed by work for one, and a long one by no more than two."""
    now_s = 0.0
    waits: list[float] = []
    stops = iter([3.0, 600.0, 0.0])

    class Locks(TurnLocks):
        def is_visit_wanted(self) -> bool:
            return True

        def begin_work(self) -> bool:
            nonlocal now_s
            now_s += next(stops)
            return True

    def has_ended(wait_s: float) -> bool:
        waits.append(wait_s)
        return len(waits) == 4

    monkeypatch.setattr("latlab.common.turns.guardian.time.monotonic", lambda: now_s)
    locks = Locks(tmp_path)
    Guardian(locks, os.getpid(), {p.id for p in descendants(os.getpid())}, has_ended).serve()
    locks.close()
    assert waits == [0.0, 3 * LEAST_RUN_SHARE, LONGEST_LEAST_RUN_S, 0.0]
