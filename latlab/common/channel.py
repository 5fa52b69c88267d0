"""What every gRPC client of the lab's servers sets on its channel."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 64 << 20  # a traced visit brings each duration of each kernel

CHANNEL_OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),)
