"""The steps of a call to the lab. Both clients take them, each in its own way of waiting.

A generator of steps yields what is to be done next, and is sent the answer, or thrown the error of
gRPC. So the rules of a call are written once, whether a thread waits or an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import grpc

from latlab.client.connection.retries import Repeat, Retries
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

CALL_TIMEOUT_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stubs:
    """The stubs of the lab's services, over one channel."""

    latency: LatencyServiceStub
    lab: LabServiceStub


Method: TypeAlias = Callable[[Stubs], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call a method once. The step's answer is the method's.

    Attributes:
        method: Returns the method of the stubs.
        request: Its request, or an iterator of requests.
        timeout_s: The deadline.
    """

    method: Method
    request: object
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for some time. The step's answer is None."""

    seconds: float


Steps: TypeAlias = Generator[Attempt | Wait, Any, T]


@dataclass(frozen=True, slots=True)
class UnaryCall(Generic[T]):
    """A call with one request and one answer.

    Attributes:
        method: Returns the method of the stubs.
        request: The request.
        convert: Turns the answer into a noun.
        timeout_s: The deadline of all attempts together.
        repeat: Whether the call may be made again.
    """

    method: Method
    request: object
    convert: Callable[[Any], T]
    timeout_s: float = CALL_TIMEOUT_S
    repeat: Repeat = Repeat.YES

    def steps(self, *, reconnects: bool) -> Steps[T]:
        """Make the call, and again where that may help. gRPC's last error is raised.

        Args:
            reconnects: Whether a lab that does not answer may be back at the same address.
        """
        retries = Retries(self.timeout_s, self.repeat, reconnects=reconnects)
        while True:
            try:
                answer = yield Attempt(self.method, self.request, retries.left_s())
                return self.convert(answer)
            except grpc.RpcError as error:
                wait_s = retries.wait_s(error)
                if wait_s is None:
                    raise
            yield Wait(wait_s)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; `next_token` is "" on the last one."""

    entries: tuple[T, ...]
    next_token: str


# Asks for the page of a token; "" stands for the first page.
Pages: TypeAlias = Callable[[str], UnaryCall[Page[T]]]
