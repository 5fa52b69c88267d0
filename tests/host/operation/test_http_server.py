"""Pages over HTTP, asked for by clients that behave badly."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from host.operation import http_server
from host.operation.http_server import MAX_CONNECTIONS, MAX_REQUEST_BYTES, Page, PageServer
from latlab.domain.errors import Unavailable
from tests.device_agent.agent_process import wait_until
from tests.host.operation.watched_lab import get

TIMEOUT_S = 60.0
BODY = b"x" * 100_000


@pytest.fixture
def serve() -> Iterator[Callable[[], PageServer]]:
    """Starts servers with the pages /page, and /defect, which raises."""
    with ExitStack() as stack:

        def start() -> PageServer:
            def fail() -> Page:
                raise KeyError("a defect")

            page = Page(HTTPStatus.OK, "text/plain", BODY)
            server = PageServer(0, {"/page": lambda: page, "/defect": fail})
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def url(server: PageServer, path: str = "/page") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def connect(server: PageServer, request: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
    connection.sendall(request)
    return connection


def answer(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    try:
        while chunk := connection.recv(1 << 16):
            received += chunk
    except ConnectionError:  # closed before all that was sent was read
        pass
    return received


def raw(server: PageServer, request: bytes) -> bytes:
    with connect(server) as connection:
        try:
            connection.sendall(request)
        except ConnectionError:
            return b""
        return answer(connection)


def test_pages_are_served_by_their_paths(serve: Callable[[], PageServer]) -> None:
    server = serve()
    assert get(url(server)) == (200, BODY.decode())
    assert get(url(server, "/page?a=b"))[0] == 200
    assert get(url(server, "/"))[0] == get(url(server, "/page/"))[0] == 404
    head = raw(server, b"HEAD /page HTTP/1.1\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert head.endswith(b"\r\n\r\n")


def test_what_is_no_request_is_refused(serve: Callable[[], PageServer]) -> None:
    server = serve()
    for request, status in (
        (b"POST /page HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /page HTTP/9.9\r\n\r\n", b"505"),
        (b"\x16\x03\x01 what is this\r\n\r\n", b"400"),
        (b"GET /" + b"x" * MAX_REQUEST_BYTES + b" HTTP/1.1\r\n\r\n", b""),
        (b"GET /page HTTP/1.1\r\n" + b"a: b\r\n" * MAX_REQUEST_BYTES, b""),
        (b"GET /page HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"\r\n" * MAX_REQUEST_BYTES, b""),
        (b"\0" * 10 * MAX_REQUEST_BYTES, b""),
    ):
        said = raw(server, request)
        assert status in said[:500], said[:500]
        assert b" 200 " not in said[:100]
    assert get(url(server))[0] == 200


def test_a_defect_ends_its_connection_alone(
    serve: Callable[[], PageServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    assert raw(server, b"GET /defect HTTP/1.0\r\n\r\n") == b""
    assert "a request for metrics failed" in caplog.text
    assert get(url(server))[0] == 200


def test_a_request_that_comes_byte_by_byte_has_a_deadline(
    serve: Callable[[], PageServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_S", 0.3)
    server = serve()
    with connect(server) as connection:

        def is_dropped() -> bool:
            try:
                connection.sendall(b"a")
            except ConnectionError:
                return True
            return False

        wait_until(is_dropped)
    with connect(server, b"GET /page HTTP/1.1\r\n") as connection:
        assert answer(connection) == b""


def test_a_thousand_silent_connections_leave_room_for_an_honest_one(
    serve: Callable[[], PageServer],
) -> None:
    server = serve()
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(server, b"GET /")) for _ in range(1_000)]
        assert get(url(server)) == (200, BODY.decode())
        closed = 1_000 + 1 - MAX_CONNECTIONS
        assert all(answer(connection) == b"" for connection in silent[: closed - 1])
        assert len(server._open) <= MAX_CONNECTIONS
    wait_until(lambda: not server._open and not server._threads)


def test_a_client_that_does_not_read_its_answer_is_dropped(
    serve: Callable[[], PageServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "ANSWER_S", 0.3)
    server = serve()
    server.pages = {"/page": lambda: Page(HTTPStatus.OK, "text/plain", BODY * 500)}
    with connect(server, b"GET /page HTTP/1.0\r\n\r\n"):
        wait_until(lambda: not server._open and not server._threads)


def test_a_port_that_is_taken_is_named(serve: Callable[[], PageServer]) -> None:
    server = serve()
    with pytest.raises(Unavailable, match=f"port {server.port} .*metrics_port"):
        PageServer(server.port, {})


def test_only_loopback_is_served(serve: Callable[[], PageServer]) -> None:
    assert serve().server_address[0] == "127.0.0.1"
