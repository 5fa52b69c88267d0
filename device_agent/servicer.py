"""The DeviceAgent service: each method checks its request and calls what performs it."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc

from device_agent.lease import LeaseGuard
from device_agent.limits import check_inputs, check_spec
from device_agent.machine import clocks, cores, identity
from device_agent.machine.conditions import read_conditions
from device_agent.results import ResultStore
from device_agent.runner_process import Runner
from device_agent.visits import PendingVisit, VisitQueue
from latlab.common.program_store import ProgramStore
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import check_program_name
from latlab.v1.common_pb2 import Conditions
from latlab.v1.device_agent_pb2 import (
    AcknowledgeRequest,
    AcknowledgeResponse,
    DescribeRequest,
    DeviceDescription,
    ReadConditionsRequest,
    RunRequest,
    RunResponse,
    UploadProgramRequest,
    UploadProgramResponse,
)
from latlab.v1.device_agent_pb2_grpc import DeviceAgentServicer


class Agent(DeviceAgentServicer):
    """Serves DeviceAgent calls. `root` is the folder that holds /proc, /sys, /etc and /system."""

    def __init__(
        self, state_directory: Path, runner: Runner, programs: ProgramStore, root: Path = Path("/")
    ) -> None:
        self._runner = runner
        self._programs = programs
        self._root = root
        self._saved_clocks = state_directory / "clocks.json"
        clocks.restore(self._saved_clocks)
        self._results = ResultStore(state_directory / "results")
        self._visits = VisitQueue(self._measure, self._results, LeaseGuard(state_directory))
        self._description = DeviceDescription(
            serial=identity.read_serial(root, state_directory),
            model=identity.read_model(root),
            soc=identity.read_soc(root),
            os_build=identity.read_os_build(root),
            abi=platform.machine(),
            runtime_version=runner.runtime_version,
            runner_build=runner.build,
            backends=runner.backends,
            core_classes=identity.read_core_classes(
                root, cores.pinnable_cpus(root, os.sched_getaffinity(0))
            ),
            memory_bytes=identity.read_memory_bytes(root),
            max_program_bytes=programs.max_program_bytes,
            confinement=runner.confinement,
            agent_id=uuid.uuid4().hex,
            fast_fp16=identity.read_fast_fp16(root),
        )

    def close(self) -> None:
        self._visits.close()

    def end_lease(self) -> None:
        self._visits.end_lease()

    def Describe(  # noqa: N802
        self, request: DescribeRequest, context: grpc.ServicerContext
    ) -> DeviceDescription:
        return self._description

    def ReadConditions(  # noqa: N802
        self, request: ReadConditionsRequest, context: grpc.ServicerContext
    ) -> Conditions:
        return read_conditions(self._root, sorted(os.sched_getaffinity(0)))

    def UploadProgram(  # noqa: N802
        self, request_iterator: Iterator[UploadProgramRequest], context: grpc.ServicerContext
    ) -> UploadProgramResponse:
        first = next(request_iterator, UploadProgramRequest())
        if first.WhichOneof("part") != "header":
            raise InvalidRequest("an upload must begin with the program's header")
        sha256, size_bytes = first.header.sha256, first.header.size_bytes
        present = self._programs.path(sha256).exists()
        if not present:
            self._programs.add(sha256, size_bytes, _chunks(request_iterator))
        return UploadProgramResponse(already_present=present)

    def Run(self, request: RunRequest, context: grpc.ServicerContext) -> RunResponse:  # noqa: N802
        check_program_name(request.program_sha256)
        check_inputs(request)
        check_spec(request.spec, self._description.core_classes)
        return self._visits.run(request)

    def Acknowledge(  # noqa: N802
        self, request: AcknowledgeRequest, context: grpc.ServicerContext
    ) -> AcknowledgeResponse:
        self._results.forget(request.run_ids)
        return AcknowledgeResponse()

    def _measure(self, visit: PendingVisit) -> RunResponse:
        request = visit.request
        cpus = check_spec(request.spec, self._description.core_classes)
        program = self._programs.get(request.program_sha256)
        self._programs.keep_reserve({request.program_sha256})  # for the result
        cores.require(cpus, lambda: visit.stop.outcome is None)
        with clocks.steady(self._root, cpus, self._saved_clocks):
            before = read_conditions(self._root, cpus)
            response = self._runner.run(program, request, cpus, visit.deadline_s, visit.stop)
            after = read_conditions(self._root, cpus)
        cores.require(cpus, lambda: False)  # a thread whose core goes runs on another
        if response.HasField("visit"):
            response.visit.run_id = request.run_id
            response.visit.traced = request.spec.traced
            response.visit.before.MergeFrom(before)
            response.visit.after.MergeFrom(after)
        return response


def _chunks(requests: Iterator[UploadProgramRequest]) -> Iterator[bytes]:
    for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise InvalidRequest("an upload must hold nothing but chunks after its header")
        yield request.chunk
