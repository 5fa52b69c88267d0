"""Campaigns whose programs and specs fail, through no fault of the device: over a real daemon and
a real agent, with the stand-in for the runner."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.connection.local_lab import find_lab
from latlab.convert.latency import spec_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import EventKind
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile, TensorSpec
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.device_agent.agent_process import AgentProcess
from tests.host.board_lab import SPEC, address_of, connected, latlab, program, running_lab

GOOD = "answer()"
CRASHING = [
    "os.kill(os.getpid(), 11)",
    "os.kill(os.getpid(), 9)",
    "os.abort()",
    "sys.stderr.write('x' * 5_000); os.abort()",
    "os.write(1, b'x' * (65 << 20))",
]
MALFORMED = [
    "",
    "sys.exit(3)",
    "raise ValueError('odd')",
    "this is no program\0",
    "print('garbage')",
    "print('[' * 100_000)",
    "answer(wall_ns=(-1, 2, 3))",
    "answer(wall_ns=(1, 2))",
    "answer(wall_ns=(2**70, 1, 1))",
    "answer(wall_ns=range(1, 100_000))",
    "answer(); sys.exit(1)",
    "print(json.dumps(dict(failure=dict(kind='melted', message='odd'))))",
] + [
    f"print(json.dumps(dict(failure=dict(kind='{kind}', message='no\\0'))))"
    for kind in ("not_a_program", "bad_input", "unsupported", "out_of_memory", "execution_error")
]
REFUSED = [(), (TensorSpec((1,)),) * 17, (TensorSpec((2**20, 2**20)),), (TensorSpec((0, 3)),)]
# No program ends in time, not even a good one.
TOO_SHORT = replace(SPEC, visit=replace(SPEC.visit, deadline_ns=1_000_000))
BAD_SPECS: list[tuple[str, dict[str, Any]]] = [
    ("visit", {"warmup_runs": 2**31}),
    ("visit", {"warmup_ns": 2**60}),
    ("visit", {"timed_runs": 0}),
    ("visit", {"timed_runs": 11, "max_timed_runs": 10}),
    ("visit", {"deadline_ns": 1}),
    ("visit", {"threads": 2**31}),
    ("visit", {"core_class": "x" * 1_000}),
    ("", {"min_visits": 0}),
    ("", {"max_visits": 2**31}),
    ("", {"tolerance": float("nan")}),
    ("", {"traced_visits": 10_000}),
    ("", {"spacing_ns": 2**60}),
]


@dataclass
class FailingCampaigns:
    """outcomes: how many of each kind there were; wrong: those that should have been others."""

    home: LabHome
    client: LatencyClient
    target: str
    folder: Path
    rng: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _programs: int = 0

    def run(self) -> None:
        """One campaign, of two to six programs, or of a spec that is refused."""
        if self.rng.random() < 0.2:
            where, fields = self.rng.choice(BAD_SPECS)
            status = self.refusal(where, fields)
            self._note(str(status), status is grpc.StatusCode.INVALID_ARGUMENT)
            return
        kinds = ["good", "crashing", "crashing", "malformed", "refused"]
        self.measure(
            [self.rng.choice(kinds) for _ in range(self.rng.randint(2, 6))],
            self.rng.choice([SPEC, SPEC, TOO_SHORT]),
        )

    def measure(self, kinds: list[str], spec: BenchmarkSpec) -> None:
        """One campaign of a new program of each kind."""
        outcomes = self.client.measure(self.target, list(map(self._program, kinds)), spec)
        for kind, outcome in zip(kinds, outcomes, strict=True):
            is_measured = isinstance(outcome, MeasuredLatency)
            word = "measured" if isinstance(outcome, MeasuredLatency) else outcome.kind.value
            self._note(word, is_measured == (kind == "good" and spec is SPEC))

    def pin_sentinel(self) -> None:
        """A good one."""
        self.client.pin_sentinel(self._program("good"))

    def refusal(self, where: str, fields: dict[str, Any]) -> grpc.StatusCode | None:
        """Asks for a measurement with a changed spec; how that is refused."""
        message = spec_to_message(SPEC)
        for name, value in fields.items():
            setattr(message.visit if where else message, name, value)
        address, token = find_lab(self.home.root)
        request = latency_pb2.MeasureRequest(
            target=self.target, program_sha256=["0" * 64], spec=message
        )
        with grpc.insecure_channel(address) as channel:
            metadata = (("authorization", f"Bearer {token}"),)
            call = LatencyServiceStub(channel).Measure(
                iter([request]), timeout=60, metadata=metadata
            )
            try:
                list(call)
            except grpc.RpcError as error:
                status: grpc.StatusCode = error.code()
                return status
        return None

    def quarantines(self) -> int:
        """How often the device was quarantined."""
        [status] = self.client.devices()
        assert status.device is not None
        events = self.client.history(status.device.serial).events
        return sum(event.kind is EventKind.QUARANTINED for event in events)

    def _program(self, kind: str) -> ProgramFile:
        """A new one."""
        self._programs += 1
        source = {"crashing": CRASHING, "malformed": MALFORMED}.get(kind, [GOOD])
        text = f"{self.rng.choice(source)}  # {self._programs}"
        if kind != "refused":
            return program(self.folder, text)
        return program(self.folder, text, self.rng.choice(REFUSED))

    def _note(self, outcome: str, is_right: bool) -> None:
        self.outcomes[outcome] += 1
        if not is_right:
            self.wrong.append(outcome)


@contextmanager
def failing_campaigns(board: AgentProcess, folder: Path, seed: int) -> Iterator[FailingCampaigns]:
    """A lab with the board."""
    home = LabHome(folder / "home")
    latlab(home, "devices", "add", address_of(board), board.code)
    with running_lab(home) as client:
        client.add_board(address_of(board))
        target = connected(client, 1)
        yield FailingCampaigns(home, client, target, folder, random.Random(seed))
