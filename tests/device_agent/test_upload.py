"""Uploads: whatever the chunks, a program arrives whole or not at all."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latlab.v1.device_agent_pb2 import ProgramHeader, UploadProgramRequest
from tests.device_agent.agent_process import AgentProcess, sha256, wait_until


def stored(agent: AgentProcess) -> set[str]:
    return {path.stem for path in (agent.state / "programs").iterdir()}


def parts_of(program: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(program) + 1) for cut in cuts), len(program)]
    return [program[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=30, deadline=None)
@given(program=st.binary(max_size=5_000), cuts=st.lists(st.integers(0, 5_000), max_size=20))
def test_any_chunking_gives_the_same_program(
    agent: AgentProcess, program: bytes, cuts: list[int]
) -> None:
    was_there = sha256(program) in stored(agent)
    answer = agent.upload(program, parts_of(program, cuts))
    assert answer.already_present == was_there
    assert (agent.state / "programs" / f"{sha256(program)}.pte").read_bytes() == program
    assert agent.upload(program, []).already_present


@settings(max_examples=30, deadline=None)
@given(
    program=st.binary(min_size=1, max_size=5_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=5),
    fault=st.sampled_from(["truncated", "longer", "flipped"]),
)
def test_a_program_that_is_not_the_announced_one_is_not_stored(
    agent: AgentProcess, program: bytes, cuts: list[int], fault: str
) -> None:
    program = b"broken " + program  # unlike those that other examples have stored
    sent = {
        "truncated": program[:-1],
        "longer": program + b"x",
        "flipped": program[:-1] + bytes([program[-1] ^ 1]),
    }[fault]
    before = stored(agent)
    with pytest.raises(grpc.RpcError) as refused:
        agent.upload(program, parts_of(sent, cuts))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert stored(agent) == before


@pytest.mark.parametrize(
    "header", [{"sha256": ""}, {"sha256": "../token"}, {"sha256": "A" * 64}, {"sha256": "0" * 64}]
)
def test_a_wrong_name(agent: AgentProcess, header: dict[str, Any]) -> None:
    before = stored(agent)
    with pytest.raises(grpc.RpcError) as refused:
        agent.upload(b"misnamed", **header)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert stored(agent) == before


def test_a_program_over_the_limit(agent: AgentProcess) -> None:
    limit = agent.describe().max_program_bytes
    with pytest.raises(grpc.RpcError) as refused:
        agent.upload(b"large", size_bytes=limit + 1)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(limit) in str(refused.value.details())


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [UploadProgramRequest(chunk=b"no header")],
        [UploadProgramRequest(header=ProgramHeader(sha256="0" * 64, size_bytes=9))] * 2,
    ],
)
def test_a_stream_out_of_order(agent: AgentProcess, parts: list[UploadProgramRequest]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        agent.stub.UploadProgram(iter(parts), metadata=agent.metadata, timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_upload_that_breaks_off_leaves_nothing(agent: AgentProcess) -> None:
    before, cancelled = stored(agent), threading.Event()

    def stalling() -> Iterator[UploadProgramRequest]:
        header = ProgramHeader(sha256=sha256(b"interrupted"), size_bytes=11)
        yield UploadProgramRequest(header=header)
        yield UploadProgramRequest(chunk=b"inter")
        cancelled.wait(60)

    call = agent.stub.UploadProgram.future(stalling(), metadata=agent.metadata, timeout=60)
    wait_until(lambda: len(stored(agent)) > len(before))
    call.cancel()
    cancelled.set()
    wait_until(lambda: stored(agent) == before)


def test_a_state_directory_of_an_agent_killed_while_receiving_is_cleaned(
    tmp_path: Path,
    start_agent: Any,  # noqa: ANN401
) -> None:
    left_over = tmp_path / "state/programs/abc.part"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half a pro")
    start_agent()
    assert not left_over.exists()
