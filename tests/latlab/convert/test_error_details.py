"""Errors carry google.rpc's details, which our client and others read."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from latlab.convert.details.google_rpc import DOMAIN, KEY, details_of, read_details
from latlab.convert.errors import from_daemon, status_of
from latlab.domain import errors
from latlab.domain.errors import InvalidRequest, LabError, LimitReached
from tests.latlab.convert.test_errors import OldAnswer, call_that, example, kinds, raising


def sent_details(error: LabError) -> tuple[status_pb2.Status, LabError]:
    """What a server sends beside an error, and what our client makes of the answer."""
    with call_that(raising(error), details=details_of) as answer:
        sent: Any = answer.trailing_metadata()
        return status_pb2.Status.FromString(dict(sent)[KEY]), from_daemon(answer)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_names_its_class(kind: type[LabError]) -> None:
    error = example(kind)
    status, received = sent_details(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (kind.__name__, DOMAIN)
    # grpcio-status refuses details that differ from the status beside them.
    assert (status.code, status.message) == (status_of(error).value[0], str(error))
    assert type(received) is kind
    assert vars(received) == vars(error)


@pytest.mark.parametrize(
    "kind", [errors.DatabaseBusy, errors.Unavailable, errors.TokenChanged, LimitReached]
)
def test_what_may_succeed_later_says_when(kind: type[LabError]) -> None:
    status, _ = sent_details(kind("busy"))
    assert read_details(status.SerializeToString()).retry_s == 1.0


@given(st.floats(0, 1e6), st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_details_come_back_as_they_were(retry_s: float, text: str) -> None:
    data = details_of(LimitReached(text, retry_s), "LimitReached", 8, text)
    found = read_details(data)
    assert found.reason == "LimitReached"
    assert found.retry_s == pytest.approx(retry_s, abs=1e-9)
    data = details_of(InvalidRequest("wrong", text), "InvalidRequest", 3, "wrong")
    assert read_details(data).field == text


def test_the_client_knows_the_field_and_the_time_to_wait() -> None:
    _, limited = sent_details(LimitReached("too many", 17.25))
    assert isinstance(limited, LimitReached)
    assert limited.retry_s == 17.25
    status, wrong = sent_details(InvalidRequest("no such scope", "scopes"))
    assert isinstance(wrong, InvalidRequest)
    assert wrong.field == "scopes"
    violations = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(violations)
    [violation] = violations.field_violations
    assert (violation.field, violation.description) == ("scopes", "no such scope")


def test_a_long_message_leaves_no_room_for_details() -> None:
    with call_that(raising(InvalidRequest("é" * 1_999)), details=details_of) as answer:
        assert type(from_daemon(answer)) is InvalidRequest
    assert details_of(InvalidRequest("é" * 1_999), "InvalidRequest", 3, "é" * 1_999) == b""


@given(st.binary(max_size=200))
def test_details_that_cannot_be_read_say_nothing(data: bytes) -> None:
    read_details(data)  # whatever it says, it raises nothing


class WithDetails(OldAnswer):
    """An answer of another server, or one that a hostile one made up."""

    def __init__(self, details: bytes) -> None:
        super().__init__(grpc.StatusCode.INVALID_ARGUMENT)
        self._details = details

    def trailing_metadata(self) -> Any:  # noqa: ANN401 -- as OldAnswer has it
        return (("latlab-error", "InvalidRequest"), (KEY, self._details))


@given(st.binary(max_size=100))
def test_an_answer_with_damaged_details_is_still_its_error(data: bytes) -> None:
    assert type(from_daemon(WithDetails(data))) is InvalidRequest


def test_the_details_of_others_are_not_taken_for_ours() -> None:
    status = status_pb2.Status(code=3, message="m")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="X", domain="example.com"))
    assert read_details(status.SerializeToString()).reason == ""
