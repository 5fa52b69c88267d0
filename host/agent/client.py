"""The typed client of one device's agent."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import grpc

from host.agent.calls import AwaitedChannel, ChannelClosed
from host.agent.tls import open_aio_channel, open_channel
from latlab.common.upload import read_chunks
from latlab.convert.devices import device_from_message
from latlab.convert.errors import from_agent
from latlab.convert.kernels import shape_to_message, tensor_spec_to_message
from latlab.convert.visits import (
    conditions_from_message,
    failure_from_message,
    visit_from_message,
    visit_spec_to_message,
)
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.checks.device import MAX_LENGTH, checked_device
from latlab.domain.checks.text import cleaned
from latlab.domain.device import Device
from latlab.domain.errors import (
    DiskFull,
    InvalidRequest,
    LabError,
    LeaseLost,
    NotFound,
    TooLarge,
    Unavailable,
)
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import Lease
from latlab.domain.measurement import Conditions, Visit
from latlab.domain.program import Program
from latlab.v1 import device_agent_pb2 as messages
from latlab.v1.device_agent_pb2_grpc import DeviceAgentStub

CALL_TIMEOUT_S = 10.0
UPLOAD_TIMEOUT_S = 300.0
# After the visit's own deadline: a visit that is being ended may come first.
RUN_GRACE_S = 30.0

T = TypeVar("T")


class AgentClient:
    """Calls one device's agent.

    Every call has a deadline, and raises Unavailable if the agent does not answer.
    """

    def __init__(self, address: str, token: str, certificate: str | None = None) -> None:
        """Prepare to call an agent; the first call connects.

        Args:
            address: "host:port" of the agent.
            token: The token that the agent asks for.
            certificate: The agent's certificate as PEM, whose key it must hold; None on
                loopback, where there is no TLS.
        """
        self.address = address
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._calls = AwaitedChannel(lambda: open_aio_channel(address, certificate))
        self._stub = DeviceAgentStub(self._calls.channel)
        # Where an agent refuses an upload before its end, grpc.aio may report an internal error in
        # place of the agent's.
        self._uploads = open_channel(address, certificate)
        # Made now: gRPC crashes where a stub is made for a channel that is closed.
        self._upload = DeviceAgentStub(self._uploads).UploadProgram

    def describe(self) -> Device:
        """Return the device's description, cleaned of what could harm who sees it."""
        request = messages.DescribeRequest()
        return checked_device(
            device_from_message(self._call(self._stub.Describe, request, timeout_s=CALL_TIMEOUT_S))
        )

    def read_conditions(self) -> Conditions:
        """Return the device's present conditions."""
        request = messages.ReadConditionsRequest()
        now = conditions_from_message(
            self._call(self._stub.ReadConditions, request, timeout_s=CALL_TIMEOUT_S)
        )
        return replace(now, governor=now.governor and cleaned(now.governor, MAX_LENGTH))

    def run(
        self, run_id: str, lease: Lease, program: Program, path: Path, spec: VisitSpec
    ) -> Visit | Failure:
        """Run one visit, and upload the program if the agent lacks it.

        Calling again with the same run_id joins the run or fetches its result.

        Args:
            run_id: The run's name, unique on the device.
            lease: The lab's lease of the device.
            program: The program to run.
            path: The program's file.
            spec: What the visit does.

        Returns:
            The agent's outcome; REFUSED if the program or the spec exceeds the agent's limits,
            and AGENT_ERROR if the agent failed.

        Raises:
            LeaseLost: Another holder has the device.
            Unavailable: The agent does not answer, or it ended the visit before it was done.
            DiskFull: The device has no space left. The same run can be asked for again.
        """
        request = messages.RunRequest(
            run_id=run_id,
            lease_token=lease.token,
            lease_database=lease.database_id,
            lease_holder=lease.holder,
            lease_left_ns=max(
                lease.expires_boot_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME), 0
            ),
            program_sha256=program.sha256,
            input_shapes=map(shape_to_message, program.input_shapes),  # for older agents
            inputs=map(tensor_spec_to_message, program.inputs),
            spec=visit_spec_to_message(spec),
        )
        timeout_s = spec.deadline_ns / 1e9 + RUN_GRACE_S
        try:
            try:
                response = self._call(self._stub.Run, request, timeout_s=timeout_s)
            except NotFound:
                self.upload(program, path)
                response = self._call(self._stub.Run, request, timeout_s=timeout_s)
        except (LeaseLost, Unavailable, DiskFull):
            raise
        except (InvalidRequest, TooLarge) as error:
            return Failure(FailureKind.REFUSED, str(error))
        except LabError as error:
            return Failure(FailureKind.AGENT_ERROR, str(error))
        if response.WhichOneof("outcome") == "visit":
            return visit_from_message(response.visit)
        failure = failure_from_message(response.failure)
        if failure.kind is FailureKind.CANCELLED:  # nothing was measured: it can be asked again
            raise Unavailable(f"the agent at {self.address}: {failure.message}")
        return failure

    def acknowledge(self, *run_ids: str) -> None:
        """Report that the results of runs are stored, so that the agent may forget them."""
        request = messages.AcknowledgeRequest(run_ids=run_ids)
        self._call(self._stub.Acknowledge, request, timeout_s=CALL_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection to the agent. From any thread."""
        self._calls.close()
        self._uploads.close()

    def upload(self, program: Program, path: Path) -> None:
        """Upload a program unless the agent has it. Raises LabError."""

        def parts() -> Iterator[messages.UploadProgramRequest]:
            header = messages.ProgramHeader(sha256=program.sha256, size_bytes=program.size_bytes)
            yield messages.UploadProgramRequest(header=header)
            for chunk in read_chunks(path):
                yield messages.UploadProgramRequest(chunk=chunk)

        try:
            self._upload(parts(), timeout=UPLOAD_TIMEOUT_S, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_agent(error, self.address) from error
        except ValueError as error:  # gRPC's, of a channel that another thread has closed
            if not self._calls.is_closed:
                raise
            raise self._closed() from error

    def _call(self, method: Callable[..., Awaitable[T]], request: object, timeout_s: float) -> T:
        try:
            return self._calls.call(method, request, timeout_s, self._metadata)
        except grpc.RpcError as error:
            raise from_agent(error, self.address) from error
        except ChannelClosed as error:
            raise self._closed() from error

    def _closed(self) -> Unavailable:
        return Unavailable(f"the connection to the agent at {self.address} is closed")
