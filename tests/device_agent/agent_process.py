"""A real agent in its own process, and what a test says to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from latlab.v1.common_pb2 import Shape, TensorSpec, VisitSpec
from latlab.v1.device_agent_pb2 import (
    AcknowledgeRequest,
    DescribeRequest,
    DeviceDescription,
    ProgramHeader,
    RunRequest,
    RunResponse,
    UploadProgramRequest,
    UploadProgramResponse,
)
from latlab.v1.device_agent_pb2_grpc import DeviceAgentStub

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 60.0

SPEC = VisitSpec(
    warmup_runs=2,
    timed_runs=3,
    max_timed_runs=5,
    deadline_ns=60_000_000_000,
    threads=1,
    core_class="all",
)


def wait_until(condition: Callable[[], bool]) -> None:
    """Fails the test where it takes longer than TIMEOUT_S."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Zombies are dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def sha256(program: bytes) -> str:
    return hashlib.sha256(program).hexdigest()


def spec(**changes: Any) -> VisitSpec:  # noqa: ANN401
    changed = VisitSpec()
    changed.CopyFrom(SPEC)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


class AgentProcess:
    """Started on `state`, ready when the constructor returns. `program`: what is started;
    `within`: a command that it is started by, for a place of its own."""

    def __init__(
        self,
        state: Path,
        runner: Path,
        options: Sequence[str] = (),
        within: Sequence[str | Path] = (),
        program: Sequence[str | Path] = (sys.executable, "-m", "device_agent"),
    ) -> None:
        self.state = state
        state.parent.mkdir(parents=True, exist_ok=True)
        self.output = state.with_name(f"{state.name}.out")
        command = [*within, *program, "--state-dir", state, "--runner", runner, *options]
        self.errors = state.with_name(f"{state.name}.err")  # a pipe that nobody reads fills up
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=errors)
        announcement = state / "agent.json"
        wait_until(lambda: self._announced(announcement) or self.process.poll() is not None)
        assert self.process.poll() is None, self.errors.read_text()
        self.port = int(json.loads(announcement.read_text())["port"])
        self.token = (state / "token").read_text()
        self._channel: grpc.Channel | None = None

    def _announced(self, announcement: Path) -> bool:
        return (
            announcement.exists()
            and json.loads(announcement.read_text())["pid"] == self.process.pid
        )

    @property
    def code(self) -> str:
        """The enrolment code that it printed."""
        return self.output.read_text().splitlines()[-1]

    @property
    def channel(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = grpc.insecure_channel(
                f"127.0.0.1:{self.port}", options=[("grpc.max_receive_message_length", -1)]
            )
        return self._channel

    @property
    def stub(self) -> DeviceAgentStub:
        return DeviceAgentStub(self.channel)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    def describe(self) -> DeviceDescription:
        return self.stub.Describe(DescribeRequest(), timeout=TIMEOUT_S, metadata=self.metadata)

    def upload(
        self,
        program: bytes,
        chunks: Iterable[bytes] | None = None,
        **header: Any,  # noqa: ANN401
    ) -> UploadProgramResponse:
        """Sends `chunks` (the program in one, unless given) under the program's true header,
        with what `header` changes in it."""
        announced = {"sha256": sha256(program), "size_bytes": len(program), **header}

        def parts() -> Iterator[UploadProgramRequest]:
            yield UploadProgramRequest(header=ProgramHeader(**announced))
            for chunk in [program] if chunks is None else chunks:
                yield UploadProgramRequest(chunk=chunk)

        return self.stub.UploadProgram(parts(), timeout=TIMEOUT_S, metadata=self.metadata)

    def start_run(
        self,
        run_id: str,
        program: bytes,
        shapes: Sequence[Sequence[int]] = ((1, 3, 16, 16),),
        spec: VisitSpec = SPEC,
        lease_token: int = 1,
        inputs: Sequence[TensorSpec] = (),
        **lease: Any,  # noqa: ANN401
    ) -> grpc.Future[RunResponse]:
        """Asks for `inputs` where they are given, else for `shapes` of float32, as older hosts
        do. `lease` is what those do not say of it: `lease_database` and so on."""
        request = RunRequest(
            run_id=run_id,
            lease_token=lease_token,
            program_sha256=sha256(program),
            input_shapes=[] if inputs else [Shape(dims=shape) for shape in shapes],
            inputs=inputs,
            spec=spec,
            **lease,
        )
        future: grpc.Future[RunResponse] = self.stub.Run.future(
            request, timeout=TIMEOUT_S, metadata=self.metadata
        )
        return future

    def run(self, run_id: str, program: bytes, **details: Any) -> RunResponse:  # noqa: ANN401
        return self.start_run(run_id, program, **details).result()

    def acknowledge(self, *run_ids: str) -> None:
        self.stub.Acknowledge(
            AcknowledgeRequest(run_ids=run_ids), timeout=TIMEOUT_S, metadata=self.metadata
        )

    def end(self, signal_number: int = signal.SIGTERM) -> int:
        """The exit code."""
        if self._channel is not None:
            self._channel.close()
        os.kill(self.process.pid, signal_number)
        return self.process.wait(TIMEOUT_S)
