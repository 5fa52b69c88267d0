"""Latency Lab for asyncio: the same questions as `latlab.connect` asks, without blocking.

import latlab.aio

async with latlab.aio.connect() as lab:
    [outcome] = await lab.measure(target, [program])
"""

from __future__ import annotations

from pathlib import Path

from latlab.client.aio.client import AsyncLatencyClient

__all__ = ["AsyncLatencyClient", "connect"]


def connect(home: Path | None = None) -> AsyncLatencyClient:
    """Return a client of the lab that the environment names, as `LatencyClient.connect` finds it.

    The lab is looked for when the client is entered with `async with`, or makes its first call.

    Args:
        home: The folder of a lab of this machine, in place of what the environment says.
    """
    return AsyncLatencyClient.found(home)
