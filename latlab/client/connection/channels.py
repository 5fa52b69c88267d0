"""Open gRPC channels to a lab, for the blocking client and for asyncio."""

from __future__ import annotations

import grpc
import grpc.aio

from latlab.client.connection.endpoint import Endpoint
from latlab.common import channel
from latlab.common.channel import LAB_NAME, MAX_MESSAGE_BYTES

# A lab that restarts is back within seconds. gRPC would wait for up to two minutes.
_FIRST_RECONNECT_S = 0.2
_LAST_RECONNECT_S = 5.0
_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", round(_FIRST_RECONNECT_S * 1e3)),
    ("grpc.max_reconnect_backoff_ms", round(_LAST_RECONNECT_S * 1e3)),
)


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Return a channel to a lab. Nothing is sent before the first call."""
    return channel.open_channel(endpoint.address, endpoint.certificate, LAB_NAME, _OPTIONS)


def open_aio_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """Return a channel to a lab for the running event loop."""
    return channel.open_aio_channel(endpoint.address, endpoint.certificate, LAB_NAME, _OPTIONS)
