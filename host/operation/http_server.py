"""Serve a few pages over HTTP on loopback, to clients that may behave badly.

A request has a deadline and a largest size. If too many connections are open, the oldest is
closed: an honest client has its answer within milliseconds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from latlab.domain.errors import Unavailable

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 64
MAX_THREADS = 4 * MAX_CONNECTIONS
MAX_REQUEST_BYTES = 16 << 10
REQUEST_S = 5.0
ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a request."""

    status: HTTPStatus
    content_type: str
    body: bytes


Pages: TypeAlias = Mapping[str, Callable[[], Page]]


class PageServer(socketserver.TCPServer):
    """Serves pages by their paths, each request in a thread of its own."""

    allow_reuse_address = True
    request_queue_size = 1_024  # what is more has to knock again after a second

    def __init__(self, port: int, pages: Pages) -> None:
        """Bind a port of loopback.

        Args:
            port: The port; 0 for a free one.
            pages: What makes each page, by path.

        Raises:
            Unavailable: The port is taken.
        """
        self.pages = pages
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}  # in the order of their arrival
        self._threads = 0
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise Unavailable(
                f"the port {port} of loopback cannot be used for metrics ({error.strerror}):"
                " choose another `metrics_port` in lab.toml, or 0 for none"
            ) from error

    @property
    def port(self) -> int:
        """The port that is served."""
        port: int = self.server_address[1]
        return port

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Stop to serve."""
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a connection in a thread, and close the oldest if there are too many."""
        with self._lock:
            while len(self._open) >= MAX_CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            is_refused = self._threads >= MAX_THREADS
            if not is_refused:
                self._open[request] = None
                self._threads += 1
        if is_refused:
            self.shutdown_request(request)
            return
        try:
            threading.Thread(
                target=self._serve, args=[request, client_address], name="page", daemon=True
            ).start()
        except RuntimeError:  # this process has too many threads
            self._end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Log an error of this server's own; socketserver would print it."""
        log.exception("a request for metrics failed")

    def _serve(self, request: socket.socket, client_address: object) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:  # the client is gone, is too slow, or sends too much
            log.debug("a client of the metrics was dropped", exc_info=True)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self._end(request)

    def _end(self, request: socket.socket) -> None:
        with self._lock:
            self._open.pop(request, None)
            self._threads -= 1
        self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request, and closes its connection."""

    server: PageServer
    server_version = "latlab"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_BoundedReader(self.connection))

    def do_GET(self) -> None:
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            text = f"not found; there are: {', '.join(self.server.pages)}\n"
            page = Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text.encode())
        else:
            page = make()
        self.connection.settimeout(ANSWER_S)
        self.send_response(page.status)
        for header, value in (
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a client could fill the log."""


class _BoundedReader(io.RawIOBase):
    """Reads from a connection until REQUEST_S have passed or MAX_REQUEST_BYTES were read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline_s = time.monotonic() + REQUEST_S
        self._left = MAX_REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- a writable buffer
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0 or self._left <= 0:
            raise ConnectionAbortedError("the request takes too long, or is too large")
        self._connection.settimeout(left_s)
        read = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= read
        return read
