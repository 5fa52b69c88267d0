"""Connections that idle, or drip bytes, at each step of a gRPC call. HTTP/2 is written by hand."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latlab.v1.device_agent_pb2 import ProgramHeader, UploadProgramRequest
from latlab.v1.latency_pb2 import Program, UploadRequest

CONNECT_TIMEOUT_S = 10.0
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_ACK, _END_HEADERS = 1, 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def call(method: str, token: str | None) -> bytes:
    """The beginning of a call: the connection's preface, and the headers."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    if token is not None:
        fields["authorization"] = f"Bearer {token}"
    block = b"".join(_literal(name) + _literal(value, b"") for name, value in fields.items())
    return _hello() + frame(_HEADERS, block, _END_HEADERS, stream=1)


def _hello() -> bytes:
    return _PREFACE + frame(_SETTINGS, b"") + frame(_SETTINGS, b"", _ACK)


def _literal(text: str, prefix: bytes = b"\0") -> bytes:
    """A header's name or value, of fewer than 127 characters, as HPACK writes it."""
    return prefix + bytes([len(text)]) + text.encode()


def message(data: bytes) -> bytes:
    return frame(_DATA, struct.pack(">BI", 0, len(data)) + data, stream=1)


@dataclass(frozen=True)
class Kind:
    """What a connection sends at once, and what it drips for ever, byte by byte."""

    name: str
    sends: bytes = b""
    drips: bytes = b""


def kinds(unary: str, upload: str, first_part: bytes, token: str) -> Sequence[Kind]:
    """Kinds of connections to a server.

    Args:
        unary: A method with one request.
        upload: A method with a stream of requests.
        first_part: The first request of an upload.
        token: The token that the server asks for.
    """
    large = frame(_DATA, struct.pack(">BI", 0, 10_000) + bytes(10_000), stream=1)
    return [
        Kind("silent"),
        Kind("drips the preface", b"", _PREFACE),
        Kind("half-open HTTP/2", _PREFACE + frame(_SETTINGS, b"")),
        Kind("HTTP/2 without a call", _hello()),
        Kind("HTTP/2 without settings", _PREFACE),
        Kind("drips headers", call(unary, None)[:-200], call(unary, None)[-200:]),
        Kind("call without token", call(unary, None)),
        Kind("upload without token", call(upload, None)),
        Kind("call with token", call(unary, token)),
        Kind("drips a request with token", call(unary, token), large),
        Kind("upload with token", call(upload, token)),
        Kind("stalled upload with token", call(upload, token) + message(first_part)),
        Kind("drips an upload", call(upload, token) + message(first_part), large),
    ]


def kinds_for_daemon(token: str) -> Sequence[Kind]:
    service = "/latlab.v1.LatencyService"
    program = Program(sha256="0" * 64, size_bytes=1 << 20, backend="xnnpack")
    first = UploadRequest(program=program).SerializeToString()
    listed = kinds(f"{service}/ListTargets", f"{service}/UploadProgram", first, token)
    return [*listed, Kind("idle campaign", call(f"{service}/Measure", token))]


def kinds_for_agent(token: str) -> Sequence[Kind]:
    service = "/latlab.v1.DeviceAgent"
    header = ProgramHeader(sha256="0" * 64, size_bytes=1 << 20)
    first = UploadProgramRequest(header=header).SerializeToString()
    listed = kinds(f"{service}/Describe", f"{service}/UploadProgram", first, token)
    return [*listed, Kind("public call", call("/grpc.health.v1.Health/Check", None))]


class HostileConnections:
    """Holds so many connections, of all kinds in turn. One that is closed is opened again."""

    def __init__(self, port: int, kinds: Sequence[Kind], count: int, tls: bool = False) -> None:
        self._port = port
        self._tls = _trusting() if tls else None
        self._stopping = threading.Event()
        self.reopened = 0
        wanted = (kinds[number % len(kinds)] for number in range(count))
        self._held = [(kind, self._open(kind), 0) for kind in wanted]
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()

    def __enter__(self) -> HostileConnections:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for held in self._held:
            held[1].close()

    def _open(self, kind: Kind) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), CONNECT_TIMEOUT_S)
        if self._tls is not None and kind.name != "silent":
            with contextlib.suppress(OSError):
                connection = self._tls.wrap_socket(connection)
        with contextlib.suppress(OSError):
            connection.sendall(kind.sends)
        connection.setblocking(False)
        return connection

    def _hold(self) -> None:
        while not self._stopping.wait(1.0):
            for number, held in enumerate(self._held):
                kind, connection, sent = held
                if self._stopping.is_set():
                    return
                if _is_closed(connection):
                    connection.close()
                    with contextlib.suppress(OSError):
                        self._held[number] = kind, self._open(kind), 0
                        self.reopened += 1
                elif sent < len(kind.drips):
                    with contextlib.suppress(OSError):
                        connection.send(kind.drips[sent : sent + 1])
                    self._held[number] = kind, connection, sent + 1


def _is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(65_536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def answer_times_s(ask: Callable[[], object], count: int, pause_s: float) -> list[float]:
    """How long an honest client waits for each of its answers. What `ask` raises is raised."""
    taken_s = []
    for _ in range(count):
        start_s = time.monotonic()
        ask()
        taken_s.append(time.monotonic() - start_s)
        time.sleep(pause_s)
    return taken_s
