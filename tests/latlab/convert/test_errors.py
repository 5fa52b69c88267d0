"""Errors cross the wire as what they are."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from latlab.client.connection.calls import Calls
from latlab.client.connection.endpoint import Endpoint
from latlab.convert.error_interceptor import ErrorInterceptor
from latlab.convert.errors import (
    MAX_MESSAGE_CHARS,
    Details,
    from_agent,
    from_daemon,
    from_enrolment,
    status_of,
)
from latlab.domain import errors
from latlab.domain.errors import (
    InvalidRequest,
    LabError,
    LeaseLost,
    NotReady,
    Unavailable,
    UnknownKernelKinds,
)

SECRET = "/home/somebody/.latlab/token"


def kinds(kind: type[LabError] = LabError) -> list[type[LabError]]:
    narrower = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [kind, *(found for each in narrower for found in kinds(each))]


class Local(errors.NotFound):
    """An error that another package derives from the tree."""


def example(kind: type[LabError]) -> LabError:
    return kind(["gelu", "δ"]) if kind is UnknownKernelKinds else kind("what to do")


@contextmanager
def call_that(
    raises: Callable[[], None], *, streams: bool = False, details: Details | None = None
) -> Iterator[grpc.RpcError]:
    """The error of a call to a server whose method calls `raises`."""

    def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
        raises()
        return b""

    def fail_late(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"first"
        raises()

    handler: Any = (
        grpc.unary_stream_rpc_method_handler(fail_late)
        if streams
        else grpc.unary_unary_rpc_method_handler(fail)
    )
    server = grpc.server(ThreadPoolExecutor(1), interceptors=[ErrorInterceptor(details)])
    generic = grpc.method_handlers_generic_handler("test", {"Fail": handler})
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: Any = channel.unary_stream if streams else channel.unary_unary
        with pytest.raises(grpc.RpcError) as told:
            list(method("/test/Fail")(b"", timeout=10))
    try:
        yield told.value
    finally:
        server.stop(None).wait()


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("streams", [False, True])
def test_every_error_arrives_as_itself(kind: type[LabError], streams: bool) -> None:
    sent = example(kind)
    with call_that(raising(sent), streams=streams) as answer:
        error = from_daemon(answer)
    assert type(error) is kind
    assert str(error) == str(sent)
    assert vars(error) == vars(sent)  # the kinds of kernels


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_of_an_agent_arrives_with_its_address(kind: type[LabError]) -> None:
    with call_that(raising(example(kind))) as answer:
        for convert in (from_agent, from_enrolment):
            error = convert(answer, "pi:7070")
            if kind is errors.Unauthenticated and convert is from_agent:
                assert type(error) is errors.TokenChanged
                assert "token has changed" in str(error)
            else:
                assert type(error) is (InvalidRequest if kind is UnknownKernelKinds else kind)
            assert str(error).startswith(f"the agent at pi:7070: {example(kind)}")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_survives_a_pipe_between_processes(kind: type[LabError]) -> None:
    sent = example(kind)
    received = pickle.loads(pickle.dumps(sent))
    assert (type(received), str(received), vars(received)) == (kind, str(sent), vars(sent))


def test_an_error_of_another_package_arrives_as_its_base() -> None:
    assert status_of(Local("gone")) is grpc.StatusCode.NOT_FOUND
    with call_that(raising(Local("gone"))) as answer:
        assert type(from_daemon(answer)) is errors.NotFound


@pytest.mark.parametrize("streams", [False, True])
def test_a_defect_arrives_as_a_request_id_that_the_log_explains(
    streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        call_that(raising(KeyError(SECRET)), streams=streams) as answer,
    ):
        error: Any = answer
        assert error.code() is grpc.StatusCode.INTERNAL
        assert SECRET not in error.details()
    request_id = error.details().split()[-1]
    assert len(request_id) == 32
    [record] = [each for each in caplog.records if request_id in each.getMessage()]
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


def test_the_error_of_a_call_whose_caller_has_left_is_no_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, left = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        left.wait(timeout=60)
        raise InvalidRequest("too late")

    server = grpc.server(ThreadPoolExecutor(1), interceptors=[ErrorInterceptor()])
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: fail())
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test", {"Fail": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, caplog.at_level(logging.ERROR):
        method: Any = channel.unary_unary("/test/Fail")
        call = method.future(b"", timeout=60)
        assert begun.wait(timeout=60)
        call.cancel()
        left.set()
        server.stop(60).wait()
    assert caplog.messages == []


def test_a_message_that_no_header_can_hold_is_shortened() -> None:
    with call_that(raising(LabError("\ud800" + "x" * 100_000))) as answer:
        message = str(from_daemon(answer))
    assert message.startswith("\\ud800xxx")
    assert len(message) < 2 * MAX_MESSAGE_CHARS


class OldAnswer(grpc.RpcError):
    """What an agent of version 0.1 answers: a status, and no class beside it."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return "told"

    def trailing_metadata(self) -> Any:  # noqa: ANN401 -- gRPC answers None where none came
        return None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, LeaseLost),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.UNAUTHENTICATED, errors.TokenChanged),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNKNOWN, LabError),
    ],
)
def test_an_agent_of_before_is_understood_by_its_status(
    status: grpc.StatusCode, kind: type[LabError]
) -> None:
    assert type(from_agent(OldAnswer(status), "pi:7070")) is kind


def test_an_enrolment_of_before_is_understood_by_its_status() -> None:
    refused = OldAnswer(grpc.StatusCode.FAILED_PRECONDITION)
    assert type(from_enrolment(refused, "pi:7070")) is NotReady


def test_a_lab_that_does_not_answer_is_unavailable() -> None:
    calls = Calls(Endpoint("127.0.0.1:1", "token", is_own=True))
    with pytest.raises(Unavailable, match="latlab lab up"):
        calls.one(calls.channel.unary_unary("/test/Fail"), b"", timeout_s=5)
    calls.channel.close()
