"""Many agents in one process: real gRPC servers with a timer in place of each runner.

python -m tests.bench.simulated_agents FIRST COUNT [VISIT_S]

It prints their addresses as JSON and ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator

import grpc

from latlab.v1.common_pb2 import Conditions, Visit
from latlab.v1.device_agent_pb2 import (
    AcknowledgeRequest,
    AcknowledgeResponse,
    CoreClass,
    DescribeRequest,
    DeviceDescription,
    ReadConditionsRequest,
    RunRequest,
    RunResponse,
    UploadProgramRequest,
    UploadProgramResponse,
)
from latlab.v1.device_agent_pb2_grpc import DeviceAgentServicer, add_DeviceAgentServicer_to_server

VISIT_S = 10.0
RUNS = 20
RUN_NS = 10_000_000
MODELS = 50  # all devices of a model serve the same target


class SimulatedAgent(DeviceAgentServicer):
    """An agent with one core, on which every program takes equally long."""

    def __init__(self, number: int, visit_s: float) -> None:
        self._visit_s = visit_s
        self._description = DeviceDescription(
            serial=f"simulated-{number:04}",
            model=f"simulated {number % MODELS:02}",
            os_build="none",
            abi="none",
            runtime_version="timer",
            runner_build="timer",
            backends=["xnnpack"],
            core_classes=[CoreClass(name="all", cpus=[0])],
            max_program_bytes=1 << 30,
        )

    async def Describe(  # noqa: N802
        self, request: DescribeRequest, context: object
    ) -> DeviceDescription:
        return self._description

    async def ReadConditions(  # noqa: N802
        self, request: ReadConditionsRequest, context: object
    ) -> Conditions:
        return Conditions(unix_ns=time.time_ns())

    async def UploadProgram(  # noqa: N802
        self, request_iterator: AsyncIterator[UploadProgramRequest], context: object
    ) -> UploadProgramResponse:
        return UploadProgramResponse(already_present=True)

    async def Run(  # noqa: N802
        self, request: RunRequest, context: object
    ) -> RunResponse:
        before = Conditions(unix_ns=time.time_ns())
        await asyncio.sleep(self._visit_s)
        visit = Visit(
            run_id=request.run_id,
            wall_ns=[RUN_NS] * RUNS,
            cpu_ns=[RUN_NS] * RUNS,
            involuntary_switches=[0] * RUNS,
            before=before,
            after=Conditions(unix_ns=time.time_ns()),
        )
        return RunResponse(visit=visit)

    async def Acknowledge(  # noqa: N802
        self, request: AcknowledgeRequest, context: object
    ) -> AcknowledgeResponse:
        return AcknowledgeResponse()


async def serve(first: int, count: int, visit_s: float = VISIT_S) -> None:
    servers, addresses = [], []
    for number in range(first, first + count):
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_DeviceAgentServicer_to_server(SimulatedAgent(number, visit_s), server)
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        servers.append(server)
    print(json.dumps(addresses), flush=True)
    await asyncio.gather(*(server.wait_for_termination() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
