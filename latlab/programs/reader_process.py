"""Read programs in a process of its own, so that no file can harm the process that asks.

python -m latlab.programs.reader_process TIMEOUT_S       the side of the process, which
                                                         ReaderProcess starts

Its standard input is a socket. Each message on it brings the descriptor of a program's open file,
and the process answers with a line of JSON. It can open no file, no socket and no process: see
`latlab.programs.confinement`. It ends when its input does, and when a program exceeds its limits.
"""

from __future__ import annotations

import array  # noqa: F401 -- socket.recv_fds imports it, which a confined process cannot
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from latlab.domain.kernel import Kernel
from latlab.domain.program import TensorSpec, from_json
from latlab.programs.confinement import confine
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
        self._requests: socket.socket | None = None

    def read(self, path: Path) -> Listing:
        """Return what the `.pte` file holds.

        Raises:
            UnreadableProgram: As for `read_program`, or reading it takes too much time or memory.
        """
        try:
            # Should it be a pipe, nobody waits for its other end.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableProgram(f"the program cannot be read: {error.strerror}") from error
        try:
            line = self._ask(descriptor)
        finally:
            os.close(descriptor)
        if not line.endswith(b"\n"):
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

    def _ask(self, descriptor: int) -> bytes:
        """Return the answer, which is no whole line if the process ended or says too much."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end()
                self._start()
            assert self._process is not None
            assert self._process.stdout is not None
            assert self._requests is not None
            try:
                socket.send_fds(self._requests, [b"\n"], [descriptor])
                line = self._process.stdout.readline(MAX_ANSWER_BYTES)
            except OSError:  # it has ended
                line = b""
            if not line.endswith(b"\n"):
                self._end()
            return line

    def _start(self) -> None:
        self._requests, input_ = socket.socketpair()
        with input_:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "latlab.programs.reader_process", str(self._timeout_s)],
                stdin=input_.fileno(),
                stdout=subprocess.PIPE,
                # FlatBuffers imports numpy where it is installed, whose threads would take memory.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # a Ctrl-C in the terminal is not for it
            )

    def _end(self) -> None:
        process, self._process = self._process, None
        if self._requests is not None:
            self._requests.close()
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipe, too


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
    requests = socket.socket(fileno=sys.stdin.fileno())
    confine()
    while descriptors := socket.recv_fds(requests, 1, 1)[1]:
        signal.setitimer(signal.ITIMER_REAL, timeout_s)  # then a signal ends this process
        print(_answer(descriptors[0]), flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(descriptors[0])


def _answer(descriptor: int) -> str:
    """Return the JSON of a listing, or of the reason why there is none."""
    try:
        data = mmap(descriptor, 0, access=ACCESS_READ) if os.fstat(descriptor).st_size else b""
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
