"""Channels to agents beyond loopback. Each trusts the one pinned certificate of its agent."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from latlab.common import certificates
from latlab.common.channel import pinned_options

# Agents carry this name in their certificates, whatever their addresses are.
_NAME = "latlab-agent"


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
    return grpc.secure_channel(address, credentials, [*options, *pinned_options(_NAME)])


def presented_certificate(address: str) -> str:
    """Return the certificate that an agent shows to everybody, as PEM. It proves nothing yet.

    Raises Unavailable if nobody answers, or does not speak TLS.
    """
    return certificates.presented_certificate(address, _NAME, "start its agent with --listen")
