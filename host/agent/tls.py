"""Channels to agents beyond loopback, each trusted by its one certificate, which is pinned."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import grpc

from latlab.domain.errors import Unavailable

# Agents carry this name in their certificates, whatever their addresses are.
_NAME = "latlab-agent"
_HANDSHAKE_TIMEOUT_S = 3.0
# While a call waits. A link that went dead without a word is noticed after the two together,
# and the call ends as UNAVAILABLE. Agents permit it: see PING_OPTIONS there.
KEEPALIVE_S = 10.0
KEEPALIVE_TIMEOUT_S = 5.0


def pinned_channel(
    address: str, certificate: str, options: Sequence[tuple[str, int]] = ()
) -> grpc.Channel:
    """To whoever holds the key of `certificate` (PEM), and to nobody else."""
    credentials = grpc.ssl_channel_credentials(root_certificates=certificate.encode())
    mine = [
        ("grpc.ssl_target_name_override", _NAME),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_S * 1e3)),
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT_S * 1e3)),
        ("grpc.http2.max_pings_without_data", 0),  # as many as a long visit takes
    ]
    return grpc.secure_channel(address, credentials, [*options, *mine])


def presented_certificate(address: str) -> str:
    """What an agent shows to everybody, as PEM; of itself it proves nothing.

    Raises Unavailable where nobody answers, or not in TLS.
    """
    host, _, port = address.rpartition(":")
    try:
        return ssl.get_server_certificate(
            (host.strip("[]"), int(port)), timeout=_HANDSHAKE_TIMEOUT_S
        )
    except ssl.SSLError as error:
        raise Unavailable(
            f"{address} does not speak TLS ({error.reason}): is it an agent with --listen?"
        ) from error
    except OSError as error:
        raise Unavailable(f"nobody answers at {address}: {error}") from error
