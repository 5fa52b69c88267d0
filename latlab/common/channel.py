"""What every gRPC client of the lab's servers sets on its channel."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 64 << 20  # a traced visit brings each duration of each kernel
# gRPC prints a line to the user's terminal where the server is first to close a connection, so the
# client is. It takes up to twice as long, which is less than the servers' IDLE_S. The next call
# opens another connection.
IDLE_S = 3.0

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.client_idle_timeout_ms", round(IDLE_S * 1e3)),
)
