"""Open gRPC channels to a lab, for the blocking client and for asyncio."""

from __future__ import annotations

import grpc
import grpc.aio

from latlab.client.connection.endpoint import Endpoint
from latlab.common.channel import CHANNEL_OPTIONS, LAB_NAME, MAX_MESSAGE_BYTES, pinned_options

# A lab that restarts is back within seconds. gRPC would wait for up to two minutes.
_FIRST_RECONNECT_S = 0.2
_LAST_RECONNECT_S = 5.0


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Return a channel to a lab. Nothing is sent before the first call."""
    if (credentials := _credentials(endpoint)) is None:
        return grpc.insecure_channel(endpoint.address, options=_options(endpoint))
    return grpc.secure_channel(endpoint.address, credentials, options=_options(endpoint))


def open_aio_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """Return a channel to a lab for the running event loop."""
    if (credentials := _credentials(endpoint)) is None:
        return grpc.aio.insecure_channel(endpoint.address, options=_options(endpoint))
    return grpc.aio.secure_channel(endpoint.address, credentials, options=_options(endpoint))


def _credentials(endpoint: Endpoint) -> grpc.ChannelCredentials | None:
    if endpoint.certificate is None:
        return None
    return grpc.ssl_channel_credentials(root_certificates=endpoint.certificate.encode())


def _options(endpoint: Endpoint) -> list[tuple[str, str | int]]:
    pinned = [] if endpoint.certificate is None else pinned_options(LAB_NAME)
    return [
        *CHANNEL_OPTIONS,
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", round(_FIRST_RECONNECT_S * 1e3)),
        ("grpc.max_reconnect_backoff_ms", round(_LAST_RECONNECT_S * 1e3)),
        *pinned,
    ]
