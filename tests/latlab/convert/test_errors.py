"""Errors cross the wire as what they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from host.services.interceptors import ErrorInterceptor
from latlab.client.calls import Calls
from latlab.convert.errors import status_of
from latlab.domain import errors
from latlab.domain.errors import LabError, Unavailable


def kinds(kind: type[LabError] = LabError) -> list[type[LabError]]:
    narrower = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [kind, *(found for each in narrower for found in kinds(each))]


class Local(errors.NotFound):
    """One that descends from the tree and is not in it."""


def answer_of(raised: Exception) -> LabError:
    """What a client gets where the daemon raises that."""

    def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
        raise raised

    handlers: dict[str, Any] = {"Fail": grpc.unary_unary_rpc_method_handler(fail)}
    server = grpc.server(ThreadPoolExecutor(1), interceptors=[ErrorInterceptor()])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    calls = Calls(f"127.0.0.1:{port}", "token")
    try:
        calls.one(calls.channel.unary_unary("/test/Fail"), b"", timeout_s=10)
    except LabError as error:
        return error
    finally:
        calls.channel.close()
        server.stop(None).wait()
    raise AssertionError("it answered")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_arrives_as_itself(kind: type[LabError]) -> None:
    error = answer_of(kind("what to do"))
    assert type(error) is kind
    assert str(error) == "what to do"


def test_one_that_is_not_in_the_tree_arrives_as_its_status_says() -> None:
    assert status_of(Local("gone")) is grpc.StatusCode.NOT_FOUND
    assert type(answer_of(Local("gone"))) is LabError


def test_a_lab_that_does_not_answer_is_unavailable() -> None:
    calls = Calls("127.0.0.1:1", "token")
    with pytest.raises(Unavailable, match="latlab lab up"):
        calls.one(calls.channel.unary_unary("/test/Fail"), b"", timeout_s=5)
    calls.channel.close()
