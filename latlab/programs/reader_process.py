"""Read programs in a process of its own, so that no file can harm the process that asks.

python -m latlab.programs.reader_process TIMEOUT_S       the side of the process, which
                                                         ReaderProcess starts

The process reads the path of a program from each line of its standard input, and answers with a
line of JSON. It ends when its input does, and when a program exceeds its limits.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from latlab.domain.kernel import Kernel
from latlab.domain.program import TensorSpec, from_json
from latlab.programs.reader import Listing, read_program
from latlab.programs.tables import UnreadableProgram

TIMEOUT_S = 10.0
# The process's address space, in which the largest program of 1 GiB is mapped.
MAX_MEMORY_BYTES = 2 << 30
MAX_ANSWER_BYTES = 64 << 20
NICENESS = 10


class ReaderProcess:
    """Reads programs in a process of its own.

    The first program starts the process, and it stays for the next, because starting it takes
    thirty times as long as reading a program. Threads may share it.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare a reader. One program may take `timeout_s` to read."""
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> Listing:
        """Return what the `.pte` file holds.

        Raises:
            UnreadableProgram: As for `read_program`, or reading it takes too much time or memory.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._process = self._start()
            line = _ask(self._process, path)
            if not line.endswith(b"\n"):
                self._end()
                raise UnreadableProgram(
                    f"the program cannot be read in {self._timeout_s:g} s and"
                    f" {MAX_MEMORY_BYTES >> 30} GiB of memory: it is damaged, or holds far more"
                    " kernels than a network"
                )
        answer = json.loads(line)
        if isinstance(answer, str):
            raise UnreadableProgram(answer)
        return _listing(answer)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "latlab.programs.reader_process", str(self._timeout_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # FlatBuffers imports numpy where it is installed, whose threads would take memory.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes, too


def _ask(process: subprocess.Popen[bytes], path: Path) -> bytes:
    """Return the answer, which is no whole line if the process ended or says too much."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(str(path)).encode() + b"\n")
        process.stdin.flush()
    except OSError:  # it has ended
        return b""
    return process.stdout.readline(MAX_ANSWER_BYTES)


def _listing(answer: dict[str, Any]) -> Listing:
    return Listing(
        inputs=tuple(from_json(TensorSpec, spec) for spec in answer["inputs"]),
        kernels=tuple(from_json(Kernel, kernel) for kernel in answer["kernels"]),
        undelegated=tuple(answer["undelegated"]),
        planned_bytes=answer["planned_bytes"],
    )


def main() -> None:
    """Answer with what programs hold until the standard input ends."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    timeout_s = float(sys.argv[1])
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, timeout_s)  # then a signal ends this process
        print(_answer(Path(json.loads(line))), flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(path: Path) -> str:
    """Return the JSON of a listing, or of the reason why there is none."""
    try:
        with path.open("rb") as file:
            data = mmap(file.fileno(), 0, access=ACCESS_READ) if path.stat().st_size else b""
        return json.dumps(asdict(read_program(data)))
    except OSError as error:
        return json.dumps(f"the program cannot be read: {error.strerror}")
    except MemoryError:
        return json.dumps("the program cannot be read in the memory that there is: it is damaged")
    except UnreadableProgram as error:
        return json.dumps(str(error))
    except Exception as error:  # bytes of ill will may raise anything
        return json.dumps(f"the program is damaged: {type(error).__name__}")


if __name__ == "__main__":
    main()
