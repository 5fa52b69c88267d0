"""Calls whose requests do not come, or make no sense."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from latlab.common import request_interceptor
from latlab.common.server import make_server
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.convert.token_interceptor import TokenInterceptor

TIMEOUT_S = 60.0
SOON_S = 0.2


@contextmanager
def served(*interceptors: grpc.ServerInterceptor) -> Iterator[grpc.Channel]:
    """A channel to a server that answers requests of ASCII as they are, one, many, or patient."""

    def one(request: str, context: grpc.ServicerContext) -> str:
        return request

    def many(requests: Iterator[str], context: grpc.ServicerContext) -> Iterator[str]:
        yield from requests

    def to_text(data: bytes) -> str:
        return data.decode("ascii")

    single = grpc.unary_unary_rpc_method_handler(one, to_text, str.encode)
    streams = grpc.stream_stream_rpc_method_handler(many, to_text, str.encode)
    handlers = {"One": single, "Many": streams, "Patient": streams}
    server = make_server([*interceptors, ErrorInterceptor()], patient=["/test/Patient"])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(None).wait()


def call_of(channel: grpc.Channel, method: str) -> Any:  # noqa: ANN401
    return channel.stream_stream(method)


@contextmanager
def silence() -> Iterator[Iterator[bytes]]:
    """Requests that do not come while the block lasts."""
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    yield iter(requests.get, b"end")
    requests.put(b"end")


def status_of(channel: grpc.Channel, method: str, requests: Iterator[bytes]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refused:
        list(call_of(channel, method)(requests, timeout=TIMEOUT_S))
    code: grpc.StatusCode = refused.value.code()
    return code


@pytest.mark.parametrize(
    ("method", "limit"), [("One", "REQUEST_S"), ("Many", "SILENCE_S"), ("Many", "STREAM_S")]
)
def test_a_call_whose_requests_do_not_come_is_cancelled(
    method: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_interceptor, limit, SOON_S)
    monkeypatch.setattr(request_interceptor, "_POLL_S", 0.01)
    with served() as channel, silence() as requests:
        assert status_of(channel, f"/test/{method}", requests) is grpc.StatusCode.CANCELLED


def test_a_patient_method_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("REQUEST_S", "SILENCE_S", "STREAM_S"):
        monkeypatch.setattr(request_interceptor, limit, 0.0)
    monkeypatch.setattr(request_interceptor, "_POLL_S", 0.01)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with served() as channel:
        answers = call_of(channel, "/test/Patient")(iter(requests.get, b"end"), timeout=TIMEOUT_S)
        with silence() as silent:  # another call is cancelled meanwhile
            assert status_of(channel, "/test/Many", silent) is grpc.StatusCode.CANCELLED
        requests.put(b"late")
        assert next(answers) == b"late"
        requests.put(b"end")
        assert list(answers) == []


@pytest.mark.parametrize("requests", [[], [b"\xff"]])
def test_a_request_that_is_none_is_the_callers_fault(requests: list[bytes]) -> None:
    with served() as channel:
        status = status_of(channel, "/test/One", iter(requests))
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert list(call_of(channel, "/test/One")(iter([b"one"]))) == [b"one"]
        assert list(call_of(channel, "/test/Many")(iter([b"a", b"b"]))) == [b"a", b"b"]


@pytest.mark.parametrize("method", ["One", "Many", "Patient", "None"])
def test_without_the_token_no_message_is_awaited(method: str) -> None:
    token = TokenInterceptor(lambda given: given == b"secret")
    with served(token) as channel, silence() as requests:
        status = status_of(channel, f"/test/{method}", requests)
        assert status is grpc.StatusCode.UNAUTHENTICATED
