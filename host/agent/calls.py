"""Call agents from many threads, while one thread awaits the answers of all.

A blocking call of gRPC wakes five times a second to look for signals. While a thousand devices
measured, that woke the daemon 5,000 times a second, and each thread that woke asked for Python.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import grpc.aio

T = TypeVar("T")

_STARTING = threading.Lock()


class ChannelClosed(Exception):
    """The channel was closed before the answer came."""


class AwaitedChannel:
    """A channel of grpc.aio whose methods are called, and answers awaited, from any thread.

    Attributes:
        channel: The channel.
        is_closed: Whether it was closed.
    """

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel]) -> None:
        """Open the channel; the first call connects.

        Args:
            open_channel: Returns the channel, for the event loop that calls it.
        """

        async def opened() -> grpc.aio.Channel:
            return open_channel()

        self.channel = _result_of(opened())
        self.is_closed = False

    def call(
        self,
        method: Callable[..., Awaitable[T]],
        request: object,
        timeout_s: float,
        metadata: tuple[tuple[str, str], ...],
    ) -> T:
        """Call one of the channel's methods that answer once, and return the answer.

        Raises grpc.RpcError, and ChannelClosed.
        """

        async def answer() -> T:
            if self.is_closed:
                raise ChannelClosed
            try:
                return await method(request, timeout=timeout_s, metadata=metadata)
            except asyncio.CancelledError:
                raise ChannelClosed from None

        return _result_of(answer())

    def close(self) -> None:
        """Close the channel, which ends the calls under way."""

        async def closed() -> None:
            self.is_closed = True
            await self.channel.close()

        _result_of(closed())


def _result_of(work: Coroutine[Any, Any, T]) -> T:
    with _STARTING:
        loop = _running_loop()
    return asyncio.run_coroutine_threadsafe(work, loop).result()


@functools.cache
def _running_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="agent-calls", daemon=True).start()
    return loop
