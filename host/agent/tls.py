"""Channels to agents beyond loopback. Each trusts the one pinned certificate of its agent."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import grpc

from latlab.domain.errors import Unavailable

# Agents carry this name in their certificates, whatever their addresses are.
_NAME = "latlab-agent"
_HANDSHAKE_TIMEOUT_S = 3.0
# Pings while a call waits. A dead link is noticed after the sum of the two, and the call ends as
# UNAVAILABLE. Agents permit the pings: see PING_OPTIONS in device_agent.
KEEPALIVE_S = 10.0
KEEPALIVE_TIMEOUT_S = 5.0


def pinned_channel(
    address: str, certificate: str, options: Sequence[tuple[str, int]] = ()
) -> grpc.Channel:
    """Return a channel to the holder of the certificate's key, and to nobody else.

    Args:
        address: "host:port" of the agent.
        certificate: The agent's certificate as PEM.
        options: More options of the channel.
    """
    credentials = grpc.ssl_channel_credentials(root_certificates=certificate.encode())
    secure_options = [
        ("grpc.ssl_target_name_override", _NAME),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_S * 1e3)),
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT_S * 1e3)),
        ("grpc.http2.max_pings_without_data", 0),  # as many as a long visit takes
    ]
    return grpc.secure_channel(address, credentials, [*options, *secure_options])


def presented_certificate(address: str) -> str:
    """Return the certificate that an agent shows to everybody, as PEM. It proves nothing yet.

    Raises Unavailable if nobody answers, or does not speak TLS.
    """
    host, _, port = address.rpartition(":")
    try:
        return ssl.get_server_certificate(
            (host.strip("[]"), int(port)), timeout=_HANDSHAKE_TIMEOUT_S
        )
    except ssl.SSLError as error:
        raise Unavailable(
            f"{address} does not speak TLS ({error.reason}): start its agent with --listen"
        ) from error
    except OSError as error:
        raise Unavailable(f"nobody answers at {address}: {error}") from error
