"""Every call has an id, and is reported with the status that its client sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from latlab.common.server import make_server
from latlab.common.telemetry.activities import CALL, OUTCOME, Attributes, watched_by
from latlab.common.telemetry.work import present_work
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.convert.token_interceptor import TokenInterceptor
from latlab.domain.errors import InvalidRequest
from tests.device_agent.agent_process import wait_until

TIMEOUT_S = 60.0
KEY = ("authorization", "Bearer key")


class Reports(list[Attributes]):
    """The activities that have ended."""

    @contextmanager
    def watch(self, name: str, attributes: Attributes) -> Iterator[None]:
        assert name == CALL
        try:
            yield
        finally:
            self.append(attributes)


@pytest.fixture
def reports() -> Iterator[Reports]:
    found = Reports()
    with watched_by(found.watch):
        yield found


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    """To a server whose answers are the ids of the calls."""

    def one(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"wrong":
            raise InvalidRequest("wrong")
        if request == b"defect":
            raise KeyError(request)
        return present_work().request_id.encode()

    def many(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        while True:
            yield one(request, context)

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "One": grpc.unary_unary_rpc_method_handler(one),
        "Many": grpc.unary_stream_rpc_method_handler(many),
    }
    server = make_server([TokenInterceptor(lambda token: token == b"key"), ErrorInterceptor()])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(None).wait()


def answer(
    channel: grpc.Channel, request: bytes = b"", *metadata: tuple[str, str], method: str = "One"
) -> Any:  # noqa: ANN401 -- a call or its error
    call: Any = channel.unary_unary(f"/test/{method}")
    try:
        return call.with_call(request, metadata=metadata or (KEY,), timeout=TIMEOUT_S)[1]
    except grpc.RpcError as error:
        return error


def id_in(answered: Any) -> str:  # noqa: ANN401 -- as above
    return str(dict(answered.trailing_metadata())["x-request-id"])


def test_the_client_chooses_the_id_or_gets_one(channel: grpc.Channel) -> None:
    assert id_in(answer(channel, b"", KEY, ("x-request-id", "mine-1"))) == "mine-1"
    made = [id_in(answer(channel)) for _ in range(2)]
    assert len(set(made)) == 2
    strange = id_in(answer(channel, b"", KEY, ("x-request-id", "not sane")))
    assert len(strange) == 32


def test_failures_have_ids_too_and_are_reported(channel: grpc.Channel, reports: Reports) -> None:
    wrong = answer(channel, b"wrong", KEY, ("x-request-id", "w"))
    assert wrong.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert id_in(wrong) == "w"
    assert dict(wrong.trailing_metadata())["latlab-error"] == "InvalidRequest"
    defect = answer(channel, b"defect")
    assert defect.details().endswith(f"request {id_in(defect)}")
    refused = answer(channel, b"", ("x-request-id", "r"))
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
    assert id_in(refused) == "r"
    assert answer(channel, method="Other").code() is grpc.StatusCode.UNIMPLEMENTED
    answer(channel)
    wait_until(lambda: len(reports) == 5)
    assert [each[OUTCOME] for each in reports] == [
        "INVALID_ARGUMENT",
        "INTERNAL",
        "UNAUTHENTICATED",
        "UNIMPLEMENTED",
        "OK",
    ]
    assert {each["answers"] for each in reports} == {"unary"}


def test_a_stream_that_its_client_leaves_is_cancelled(
    channel: grpc.Channel, reports: Reports
) -> None:
    call: Any = channel.unary_stream("/test/Many")
    stream = call(b"", metadata=[KEY, ("x-request-id", "s"), ("traceparent", "t")])
    assert [next(stream), next(stream)] == [b"s", b"s"]
    stream.cancel()
    wait_until(lambda: bool(reports))
    assert reports == [
        {
            "method": "/test/Many",
            "answers": "stream",
            "traceparent": "t",
            OUTCOME: "CANCELLED",
        }
    ]
