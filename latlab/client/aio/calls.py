"""Call the lab from an event loop. The rules of the calls are those of the blocking client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from latlab.client.connection.calls import Calls
from latlab.client.connection.channels import open_aio_channel
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.failures import error_of
from latlab.client.connection.steps import (
    Attempt,
    Method,
    Pages,
    Steps,
    Stubs,
    UnaryCall,
    Wait,
)
from latlab.client.requests.uploads import upload
from latlab.domain.errors import LabError
from latlab.domain.program import Program, ProgramFile
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

T = TypeVar("T")


class AsyncCalls:
    """Calls the lab over one channel of grpc.aio, which the first call opens.

    It belongs to the event loop that makes the first call. Raises LabErrors: Unavailable if the
    lab does not answer.
    """

    def __init__(self, find: Callable[[], Endpoint]) -> None:
        """Prepare to call a lab.

        Args:
            find: Returns where the lab is. It may read files and ask the lab for its certificate,
                so it is called in a thread.
        """
        self._find = find
        self._opening = asyncio.Lock()
        self._open: tuple[Endpoint, grpc.aio.Channel, Stubs] | None = None
        self._blocking: Calls | None = None

    async def connect(self) -> Endpoint:
        """Find the lab and open the channel, unless that was done, and return where the lab is."""
        async with self._opening:
            if self._open is None:
                endpoint = await asyncio.to_thread(self._find)
                channel = open_aio_channel(endpoint)
                stubs = Stubs(LatencyServiceStub(channel), LabServiceStub(channel))
                self._open = endpoint, channel, stubs
            return self._open[0]

    async def close(self) -> None:
        """Close the channel. The next call opens another one."""
        if self._open is not None:
            _, channel, _ = self._open
            self._open = None
            await channel.close()
        if self._blocking is not None:
            self._blocking.channel.close()  # which ends uploads that are under way
            self._blocking = None

    async def reconnects(self) -> bool:
        """Return whether a lab that does not answer may be back at the same address."""
        return not (await self.connect()).is_own

    async def upload(self, file: ProgramFile | Program) -> None:
        """Upload a program, in a thread and over a channel of its own.

        Reading the file would block the event loop. And where a lab refuses an upload before its
        end, grpc.aio may report an internal error in place of the lab's. A task that is cancelled
        leaves its upload to go on.
        """
        endpoint = await self.connect()
        if self._blocking is None:
            self._blocking = Calls(endpoint)
        steps = upload(file, reconnects=self._blocking.reconnects)
        await asyncio.to_thread(self._blocking.take, steps)

    async def make(self, call: UnaryCall[T]) -> T:
        """Make a call, and return its answer."""
        return await self.take(call.steps(reconnects=await self.reconnects()))

    async def pages(self, ask: Pages[T]) -> AsyncIterator[T]:
        """Yield the entries of all pages, each of which is asked for when it is needed."""
        token, is_first = "", True
        while token or is_first:
            page = await self.make(ask(token))
            for entry in page.entries:
                yield entry
            token, is_first = page.next_token, False

    async def take(self, steps: Steps[T]) -> T:
        """Take steps to their end, and return their result."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._do(step)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # it is the T of the steps
        except grpc.RpcError as error:
            raise await self.explained(error) from error

    async def _do(self, step: Attempt | Wait) -> Any:  # noqa: ANN401 -- any answer
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        return await self._call(step.method, step.request, step.timeout_s)

    async def open(self, method: Method, request: object, timeout_s: float) -> AsyncIterator[Any]:
        """Yield the answers of a gRPC method. Raises gRPC's own errors."""
        await self.connect()
        call = self._call(method, request, timeout_s)
        try:
            async for answer in call:
                yield answer
        finally:
            call.cancel()  # has no effect on a call that has ended

    async def explained(self, error: grpc.RpcError) -> LabError:
        """Return the error that the lab raised, or why it could not be reached."""
        return await asyncio.to_thread(error_of, await self.connect(), error)

    def _call(self, method: Method, request: object, timeout_s: float) -> Any:  # noqa: ANN401
        assert self._open is not None, "connect first"
        endpoint, _, stubs = self._open
        metadata = (("authorization", f"Bearer {endpoint.token}"),)
        return method(stubs)(request, timeout=timeout_s, metadata=metadata)
