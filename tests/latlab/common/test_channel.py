from __future__ import annotations

from latlab.common import channel, server


def test_a_client_closes_an_idle_connection_before_the_server_does() -> None:
    """It takes up to twice its time. Where the server does, gRPC writes to the user's terminal."""
    assert dict(channel.CHANNEL_OPTIONS)["grpc.client_idle_timeout_ms"] < 500 * server.IDLE_S
