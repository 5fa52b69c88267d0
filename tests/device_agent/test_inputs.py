"""Inputs beyond float32, from the request to the runner: what is let in, and what comes out."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from latlab.convert.kernels import tensor_spec_to_message
from latlab.domain.program import TensorSpec
from latlab.v1 import common_pb2
from tests.device_agent import odd_programs
from tests.device_agent.agent_process import AgentProcess, spec

ANSWER = b"answer()"
# A stand-in's program, which tells the runner's arguments by failing.
ECHO = (
    b"inputs = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == '--input']\n"
    b"limit = sys.argv[sys.argv.index('--memory-bytes') + 1]\n"
    b"message = ' '.join([*inputs, 'limit', limit])\n"
    b"print(json.dumps(dict(failure=dict(kind='unsupported', message=message))))"
)


def message(shape: list[int], dtype: str = "float32", **ends: Any) -> common_pb2.TensorSpec:  # noqa: ANN401
    return common_pb2.TensorSpec(shape=common_pb2.Shape(dims=shape), dtype=dtype, **ends)


def test_the_runner_is_told_dtypes_ranges_and_its_limit(agent: AgentProcess) -> None:
    agent.upload(ECHO)
    specs = [TensorSpec((1, 3)), TensorSpec((2,), "int64", -5, 7), TensorSpec((), "bool")]
    inputs = list(map(tensor_spec_to_message, specs))
    told = agent.run("told", ECHO, inputs=inputs).failure.message
    assert told.startswith("1x3:float32 2:int64:-5..7 :bool limit ")
    assert int(told.split()[-1]) > 0


def test_a_request_of_shapes_alone_is_float32(agent: AgentProcess) -> None:
    agent.upload(ECHO)
    assert agent.run("old", ECHO, shapes=[[1, 3]]).failure.message.startswith("1x3:float32 ")


def test_a_program_of_tokens_is_measured(real_agent: AgentProcess) -> None:
    program = odd_programs.tokens()
    real_agent.upload(program)
    inputs = [message([1, 16], "int64", low=0, high=999), message([1, 16], "bool")]
    visit = real_agent.run("tokens", program, inputs=inputs, spec=spec(traced=True)).visit
    assert len(visit.wall_ns) == 3
    assert visit.first_run_ns > 0
    assert visit.planned_bytes > 0
    assert visit.peak_rss_bytes > visit.planned_bytes
    assert visit.kernel_traces[0].instruction == 0
    assert visit.kernel_traces[-1].instruction > 0


def test_the_wrong_dtype_is_a_bad_input(real_agent: AgentProcess) -> None:
    program = odd_programs.tokens()
    real_agent.upload(program)
    inputs = [message([1, 16], "int32"), message([1, 16], "bool")]
    failure = real_agent.run("wrong", program, inputs=inputs).failure
    assert failure.kind == common_pb2.FAILURE_KIND_BAD_INPUT
    assert "input 0 of the program is 1x16 of int64, not 1x16 of int32" in failure.message


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([message([1], "float64")], "float64"),
        ([message([1], "")], "input 0"),
        ([message([1]), message([1], "int64", low=0)], "input 1"),
        ([message([1], "int64", high=0)], "both"),
        ([message([1], "float32", low=0, high=1)], "float32"),
        ([message([1], "int64", low=1, high=0)], "1 to 0"),
        ([message([1], "int8", low=0, high=128)], "-128 to 127"),
        ([message([0])], "none zero"),
        ([message([1 << 20, 1 << 20])], "elements"),
        ([message([1] * 9)], "dimensions"),
        ([message([1])] * 17, "1 to 16"),
    ],
)
def test_inputs_out_of_bounds(
    agent: AgentProcess, inputs: list[common_pb2.TensorSpec], told: str
) -> None:
    agent.upload(ANSWER)
    with pytest.raises(grpc.RpcError) as refused:
        agent.run("inputs", ANSWER, inputs=inputs)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in str(refused.value.details())


def test_shapes_that_contradict_the_inputs_are_refused(agent: AgentProcess) -> None:
    from latlab.v1.device_agent_pb2 import RunRequest

    request = RunRequest(
        run_id="contradiction",
        lease_token=1,
        program_sha256="00" * 32,
        input_shapes=[common_pb2.Shape(dims=[1])],
        inputs=[message([2])],
        spec=spec(),
    )
    with pytest.raises(grpc.RpcError) as refused:
        agent.stub.Run(request, metadata=agent.metadata, timeout=60)
    assert "differ" in str(refused.value.details())
