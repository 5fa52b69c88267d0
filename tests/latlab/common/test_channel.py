"""Pings of clients that wait: servers must permit them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc

from latlab.common.channel import PING_OPTIONS, pinned_options
from latlab.common.server import make_server

SCALE = 10  # this test waits for so much shorter than clients do; gRPC pings once a second at most
PINGS = 7  # the third that comes too early ends the connection


class Silent(grpc.GenericRpcHandler):
    """Answers a stream when the test ends."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        def answer(_requests: object, _context: object) -> Iterator[bytes]:
            self.is_over.wait(60)
            yield b"over"

        return grpc.stream_stream_rpc_method_handler(answer)


def test_a_client_may_ping_while_it_waits() -> None:
    silent = Silent()
    server = make_server([], [(name, value // SCALE) for name, value in PING_OPTIONS])
    server.add_generic_rpc_handlers((silent,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pings = dict(pinned_options("name"))
    name = "grpc.keepalive_time_ms"
    every_ms = int(pings[name]) // SCALE
    options = [(name, every_ms), ("grpc.http2.max_pings_without_data", 0)]
    threading.Timer(PINGS * every_ms / 1e3, silent.is_over.set).start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/a/b")
        answers = method(iter([b""]), timeout=60)
        assert list(answers) == [b"over"]
    server.stop(None).wait()
