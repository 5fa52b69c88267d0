"""Channels to the lab's servers, and the options of gRPC that clients set and servers permit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import grpc
import grpc.aio

Options: TypeAlias = Sequence[tuple[str, str | int]]

MAX_MESSAGE_BYTES = 64 << 20  # a traced visit brings each duration of each kernel

CHANNEL_OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),)

LAB_NAME = "latlab-lab"  # in the certificate of every lab, whatever its address is

# Clients beyond loopback ping while they wait. A dead link is noticed after the sum of the two,
# and the call ends as UNAVAILABLE. By default servers permit a ping every five minutes.
KEEPALIVE_S = 10.0
KEEPALIVE_TIMEOUT_S = 5.0
PING_OPTIONS = (("grpc.http2.min_ping_interval_without_data_ms", 5_000),)


def open_channel(
    address: str, certificate: str | None, name: str, options: Options = ()
) -> grpc.Channel:
    """Return a channel to a server of the lab. Nothing is sent before the first call.

    Args:
        address: "host:port" of the server.
        certificate: The server's certificate as PEM: nobody but the holder of its key is reached.
            None on loopback, where there is no TLS.
        name: The name in the certificate, whatever the address is.
        options: More options of the channel.
    """
    if certificate is None:
        return grpc.insecure_channel(address, [*CHANNEL_OPTIONS, *options])
    pinned = [*CHANNEL_OPTIONS, *options, *pinned_options(name)]
    return grpc.secure_channel(address, _trusting(certificate), pinned)


def open_aio_channel(
    address: str, certificate: str | None, name: str, options: Options = ()
) -> grpc.aio.Channel:
    """Return such a channel for the running event loop. Args as for `open_channel`."""
    if certificate is None:
        return grpc.aio.insecure_channel(address, [*CHANNEL_OPTIONS, *options])
    pinned = [*CHANNEL_OPTIONS, *options, *pinned_options(name)]
    return grpc.aio.secure_channel(address, _trusting(certificate), pinned)


def pinned_options(name: str) -> list[tuple[str, str | int]]:
    """Return the options of a channel that trusts one pinned certificate.

    Args:
        name: The name in the certificate, whatever the address is.
    """
    return [
        ("grpc.ssl_target_name_override", name),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_S * 1e3)),
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT_S * 1e3)),
        ("grpc.http2.max_pings_without_data", 0),  # as many as a long call takes
    ]


def _trusting(certificate: str) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(root_certificates=certificate.encode())
