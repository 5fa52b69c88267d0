"""Run one visit in a fresh runner process under limits, and return its outcome as a message.

The runner is any executable that takes the arguments of `runner/main.cpp` and prints its JSON.
It is started without a fork hook, which is not safe beside gRPC's threads. So its limits are set
from outside right after it starts, and it asks the kernel itself to end with the agent. Its
memory limit is also an argument, so that it holds before a program is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from device_agent.limits import inputs_of
from device_agent.machine.conditions import read_text
from device_agent.runner_report import read_report
from latlab.common.installed_files import runner_build
from latlab.v1 import common_pb2
from latlab.v1.common_pb2 import Failure
from latlab.v1.device_agent_pb2 import RunRequest, RunResponse

_MAX_OUTPUT_BYTES = 64 << 20
_MAX_OPEN_FILES = 64
_STDERR_TAIL_CHARS = 2_000
_VERSION_TIMEOUT_S = 30


def failed(kind: common_pb2.FailureKind.ValueType, message: str) -> RunResponse:
    return RunResponse(failure=Failure(kind=kind, message=message))


class Stop:
    """Ends a visit from another thread, before or while its runner runs.

    Only the first outcome given counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.outcome: RunResponse | None = None

    def end_with(self, outcome: RunResponse) -> None:
        with self._lock:
            if self.outcome is None:
                self.outcome = outcome
                self._kill()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._process = process
            if self.outcome is not None:
                self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


class Runner:
    """Runs visits. Raises OSError, ValueError or SubprocessError if `path` is no runner."""

    def __init__(self, path: Path, memory_limit_bytes: int, scratch: Path) -> None:
        self._path = path
        self._memory_limit_bytes = memory_limit_bytes
        self._scratch = scratch
        self.build = runner_build(path)
        answer = subprocess.run(
            [path, "--version"], capture_output=True, check=True, timeout=_VERSION_TIMEOUT_S
        )
        version = json.loads(answer.stdout)
        self.runtime_version = str(version["runtime_version"])
        self.backends = [str(name) for name in version["backends"]]
        self.confinement = [str(name) for name in version.get("confinement", [])]

    def run(
        self,
        program: Path,
        request: RunRequest,
        cpus: Sequence[int],
        deadline_s: float,
        stop: Stop,
    ) -> RunResponse:
        """Run a visit and return a Visit or a Failure.

        The Visit has no run_id, and only the probes in its conditions. `deadline_s` is in the time
        of time.monotonic. Raises OSError.
        """
        with (
            tempfile.TemporaryFile(dir=self._scratch) as stdout,
            tempfile.TemporaryFile(dir=self._scratch) as stderr,
        ):
            oom_kills = _oom_kills()
            process = subprocess.Popen(
                [self._path, *_arguments(program, request, cpus, self._memory_limit_bytes)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={},
                cwd="/",
                start_new_session=True,
            )
            stop.watch(process)
            left_s = deadline_s - time.monotonic()
            timed_out = failed(
                common_pb2.FAILURE_KIND_TIMED_OUT,
                f"not done within {request.spec.deadline_ns / 1e9:g} s",
            )
            timer = threading.Timer(max(left_s, 0), stop.end_with, [timed_out])
            timer.start()
            try:
                self._limit(process.pid, left_s * request.spec.threads)
            finally:
                process.wait()  # the timer kills it at the deadline
                timer.cancel()
            if stop.outcome is not None:
                return stop.outcome
            if process.returncode < 0:
                return _killed(
                    signal.Signals(-process.returncode), _oom_kills() > oom_kills, _tail(stderr)
                )
            return _answer(request, process.returncode, stdout, stderr)

    def _limit(self, pid: int, cpu_s: float) -> None:
        limits = {
            resource.RLIMIT_AS: self._memory_limit_bytes,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_CPU: int(max(cpu_s, 0)) + 2,
            resource.RLIMIT_FSIZE: _MAX_OUTPUT_BYTES,
            resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
        }
        with contextlib.suppress(ProcessLookupError):  # it has ended
            for limit, value in limits.items():
                _, ceiling = resource.prlimit(pid, limit)  # only root may raise its own ceiling
                if ceiling != resource.RLIM_INFINITY:
                    value = min(value, ceiling)
                resource.prlimit(pid, limit, (value, value))
        with contextlib.suppress(OSError):  # the kernel kills it first if memory runs out
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _arguments(
    program: Path, request: RunRequest, cpus: Sequence[int], memory_bytes: int
) -> list[str]:
    spec = request.spec
    arguments = {
        "--program": program,
        "--cpus": ",".join(map(str, cpus)),
        "--threads": spec.threads,
        "--memory-bytes": memory_bytes,
        "--seed": spec.seed,
        "--warmup-runs": spec.warmup_runs,
        "--warmup-ns": spec.warmup_ns,
        "--timed-runs": spec.timed_runs,
        "--timed-ns": spec.timed_ns,
        "--max-timed-runs": spec.max_timed_runs,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    for tensor in inputs_of(request):
        words += ["--input", str(tensor)]
    return [*words, "--traced"] if spec.traced else words


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since boot, 0 if unknown."""
    for line in (read_text(Path("/proc/vmstat")) or "").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _killed(cause: signal.Signals, by_oom_killer: bool, stderr_tail: str) -> RunResponse:
    if cause is signal.SIGKILL and by_oom_killer:
        return failed(
            common_pb2.FAILURE_KIND_OUT_OF_MEMORY, "the machine ran out of memory while it ran"
        )
    if cause is signal.SIGXCPU:
        return failed(common_pb2.FAILURE_KIND_TIMED_OUT, "it used more than its share of CPU time")
    return failed(common_pb2.FAILURE_KIND_CRASHED, f"{cause.name}\n{stderr_tail}".strip())


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _STDERR_TAIL_CHARS))
    return file.read().decode(errors="replace")


def _answer(
    request: RunRequest, returncode: int, stdout: IO[bytes], stderr: IO[bytes]
) -> RunResponse:
    stdout.seek(0)
    output = stdout.read()
    try:
        outcome = read_report(output, returncode, request.spec)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return failed(
            common_pb2.FAILURE_KIND_AGENT_ERROR,
            f"the runner's answer makes no sense ({error!r}): exit code {returncode}, "
            f"output {output[:200]!r}\n{_tail(stderr)}".strip(),
        )
    if isinstance(outcome, Failure):
        return RunResponse(failure=outcome)
    return RunResponse(visit=outcome)
