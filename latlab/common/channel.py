"""The options of gRPC that clients of the lab's servers set, and those that servers permit."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 64 << 20  # a traced visit brings each duration of each kernel

CHANNEL_OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),)

LAB_NAME = "latlab-lab"  # in the certificate of every lab, whatever its address is

# Clients beyond loopback ping while they wait. A dead link is noticed after the sum of the two,
# and the call ends as UNAVAILABLE. By default servers permit a ping every five minutes.
KEEPALIVE_S = 10.0
KEEPALIVE_TIMEOUT_S = 5.0
PING_OPTIONS = (("grpc.http2.min_ping_interval_without_data_ms", 5_000),)


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
