from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.command import CommandAccuracy
from search.space.architecture import Architecture
from search.space.zoo import ZOO

A1, B1, SMALL = (ZOO[f"mnasnet-{name}"] for name in ("a1", "b1", "small"))


def program(tmp_path: Path, body: str, **options: float) -> CommandAccuracy:
    """Python that has the architecture in `given`, and its own folder as current."""
    file = tmp_path / "accuracy.py"
    head = (
        f"import json, os, sys, time\nos.chdir({str(tmp_path)!r})\ngiven = json.load(sys.stdin)\n"
    )
    file.write_text(head + body)
    return CommandAccuracy(shlex.join([sys.executable, str(file)]), **options)  # type: ignore[arg-type]


def failure(outcome: float | AccuracyFailure) -> str:
    assert isinstance(outcome, AccuracyFailure)
    return outcome.message


def test_it_is_given_each_architecture_and_its_last_line_counts(tmp_path: Path) -> None:
    accuracy = program(
        tmp_path,
        "open(given['id'] + '.json', 'w').write(json.dumps(given))\n"
        "print('training')\nprint(len(given['blocks']) / 10 + given['stem_channels'] / 1000)\n",
        jobs=2,
    )
    done: list[int] = []
    assert accuracy.evaluate([A1, SMALL, B1], done.append) == [0.732, 0.708, 0.732]
    assert done == [1, 2, 3]
    given = json.loads((tmp_path / f"{SMALL.id}.json").read_text())
    assert Architecture.from_dict(given) == SMALL


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('done')", "must be a number, not: done"),
        ("print(71.3)", "printed 71.3: it must be from 0 to 1"),
        ("print('nan')", "printed nan: it must be"),
        ("", "it printed nothing"),
        ("print(0.5)\nsys.exit('out of memory')", "ended with exit code 1: out of memory"),
        ("os.kill(os.getpid(), 9)", "ended with exit code -9"),
    ],
)
def test_anything_but_an_accuracy_is_a_failure(tmp_path: Path, body: str, message: str) -> None:
    [outcome] = program(tmp_path, body, attempts=1).evaluate([A1])
    assert message in failure(outcome)


def test_a_failure_is_tried_again_and_not_for_ever(tmp_path: Path) -> None:
    count = "attempt = len(os.listdir('.'))\nopen(str(attempt), 'w')\n"
    second = program(tmp_path, count + "print(0.5 if attempt > 1 else 'no')")
    assert second.evaluate([A1]) == [0.5]
    never = program(tmp_path, count + "print('no')", attempts=3)
    before = len(list(tmp_path.iterdir()))
    assert failure(never.evaluate([A1])[0])
    assert len(list(tmp_path.iterdir())) == before + 3


def test_out_of_time_it_ends_with_all_that_it_started(tmp_path: Path) -> None:
    slow = program(
        tmp_path,
        "import subprocess\nif given['stem_channels'] == 8: print(0.5); sys.exit()\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open('child', 'w').write(str(child.pid))\nchild.wait()\n",
        attempts=1,
        limit_s=5,
    )
    late, sound = slow.evaluate([A1, SMALL])
    assert "more than 5 s" in failure(late)
    assert sound == 0.5
    assert not runs(int((tmp_path / "child").read_text()))


def test_interrupted_it_leaves_nothing_running(tmp_path: Path) -> None:
    child = tmp_path / "child"
    accuracy = program(tmp_path, "open('child', 'w').write(str(os.getpid()))\ntime.sleep(1000)")
    code = (
        # Where the tests run in the background, what they start ignores interrupts.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from search.accuracy.command import CommandAccuracy\nfrom search.space.zoo import ZOO\n"
        f"CommandAccuracy({accuracy.command!r}).evaluate([ZOO['mnasnet-a1']])"
    )
    search = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (child.exists() and child.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        search.send_signal(signal.SIGINT)
        assert search.wait(30) != 0
    finally:
        search.kill()
        search.wait()
    assert not runs(int(child.read_text()))


def test_a_program_that_neither_reads_nor_is_brief(tmp_path: Path) -> None:
    file = tmp_path / "loud.sh"
    file.write_text("exec <&-\nhead -c 20000000 /dev/zero\necho\necho 0.25\n")
    assert CommandAccuracy(f"sh {shlex.quote(str(file))}").evaluate([A1]) == [0.25]


@pytest.mark.parametrize("command", ["", "no-such-program --fast"])
def test_a_program_that_is_not_there_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match="no program"):
        CommandAccuracy(command)


def runs(pid: int) -> bool:
    """Whether it lives; one that is dead and not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
