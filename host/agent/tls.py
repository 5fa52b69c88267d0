"""Channels to agents. One beyond loopback trusts the one pinned certificate of its agent."""

from __future__ import annotations

import grpc
import grpc.aio

from latlab.common import certificates
from latlab.common.channel import CHANNEL_OPTIONS, pinned_options

# Agents carry this name in their certificates, whatever their addresses are.
_NAME = "latlab-agent"

_PINNED_OPTIONS = [*CHANNEL_OPTIONS, *pinned_options(_NAME)]


def open_channel(address: str, certificate: str | None) -> grpc.Channel:
    """Return a channel to an agent. Nothing is sent before the first call.

    Args:
        address: "host:port" of the agent.
        certificate: The agent's certificate as PEM: nobody but the holder of its key is reached.
            None on loopback, where there is no TLS.
    """
    if certificate is None:
        return grpc.insecure_channel(address, CHANNEL_OPTIONS)
    return grpc.secure_channel(address, _credentials(certificate), _PINNED_OPTIONS)


def open_aio_channel(address: str, certificate: str | None) -> grpc.aio.Channel:
    """Return such a channel for the running event loop."""
    if certificate is None:
        return grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address, _credentials(certificate), _PINNED_OPTIONS)


def presented_certificate(address: str) -> str:
    """Return the certificate that an agent shows to everybody, as PEM. It proves nothing yet.

    Raises Unavailable if nobody answers, or does not speak TLS.
    """
    return certificates.presented_certificate(address, _NAME, "start its agent with --listen")


def _credentials(certificate: str) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(root_certificates=certificate.encode())
