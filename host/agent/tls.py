"""Channels to agents. One beyond loopback trusts the one pinned certificate of its agent."""

from __future__ import annotations

import grpc
import grpc.aio

from latlab.common import certificates, channel

# Agents carry this name in their certificates, whatever their addresses are.
_NAME = "latlab-agent"


def open_channel(address: str, certificate: str | None) -> grpc.Channel:
    """Return a channel to an agent. Args as for `latlab.common.channel.open_channel`."""
    return channel.open_channel(address, certificate, _NAME)


def open_aio_channel(address: str, certificate: str | None) -> grpc.aio.Channel:
    """Return such a channel for the running event loop."""
    return channel.open_aio_channel(address, certificate, _NAME)


def presented_certificate(address: str) -> str:
    """Return the certificate that an agent shows to everybody, as PEM. It proves nothing yet.

    Raises Unavailable if nobody answers, or does not speak TLS.
    """
    return certificates.presented_certificate(address, _NAME, "start its agent with --listen")
