"""A phone whose owner has not allowed this computer: it knows no key, and says no more than
adb's protocol has it say to a stranger."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator

_HEADER = struct.Struct("<4sIIIII")  # command, two arguments, length, sum, complement
_TOKEN, _PUBLIC_KEY = 1, 3


class _Stranger(socketserver.BaseRequestHandler):
    """Asks for a signature, whatever it is sent; the public key it leaves to its owner."""

    def handle(self) -> None:
        connection: socket.socket = self.request
        while header := connection.recv(_HEADER.size, socket.MSG_WAITALL):
            command, argument, _, length, _, _ = _HEADER.unpack(header)
            connection.recv(length, socket.MSG_WAITALL)
            if (command, argument) != (b"AUTH", _PUBLIC_KEY):
                token = bytes(range(20))
                complement = int.from_bytes(b"AUTH", "little") ^ 0xFFFFFFFF
                head = _HEADER.pack(b"AUTH", _TOKEN, 0, len(token), sum(token), complement)
                connection.sendall(head + token)


@contextlib.contextmanager
def locked_phone() -> Iterator[str]:
    """Its adb serial, where to connect to."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Stranger) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
