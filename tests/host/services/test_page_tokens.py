"""Page tokens belong to their list, and nobody can make one up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.services.requests.page_tokens import PageTokens
from latlab.domain.errors import InvalidRequest
from latlab.v1 import lab_pb2, latency_pb2

TOKENS = PageTokens("a database")
REQUEST = latency_pb2.QueryMeasurementsRequest(target="a phone", page_size=3)

positions = st.lists(st.integers() | st.text(max_size=40) | st.floats(allow_nan=False), max_size=4)


@given(positions, st.integers(0, 1_000))
def test_a_token_brings_its_position_back_for_pages_of_any_size(
    position: list[str | int | float], page_size: int
) -> None:
    token = TOKENS.make(REQUEST, position)
    next_ = latency_pb2.QueryMeasurementsRequest(
        target="a phone", page_size=page_size, page_token=token
    )
    assert TOKENS.read(next_, token) == position


def test_the_first_page_has_no_token() -> None:
    assert TOKENS.read(REQUEST, "") is None


@given(st.data())
def test_a_token_that_was_changed_is_refused(data: st.DataObject) -> None:
    token = TOKENS.make(REQUEST, [17, "an id"])
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=").filter(lambda each: each != token[place]))
    with pytest.raises(InvalidRequest, match="page token"):
        TOKENS.read(REQUEST, token[:place] + letter + token[place + 1 :])


@given(st.text(min_size=1))
def test_a_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="page token"):
        TOKENS.read(REQUEST, text)


@pytest.mark.parametrize(
    "other",
    [
        latency_pb2.QueryMeasurementsRequest(target="another phone"),
        latency_pb2.QueryMeasurementsRequest(target="a phone", all=True),
        lab_pb2.ListQueueRequest(target="a phone"),
    ],
)
def test_a_token_is_refused_for_another_list(
    other: latency_pb2.QueryMeasurementsRequest | lab_pb2.ListQueueRequest,
) -> None:
    with pytest.raises(InvalidRequest, match="page token"):
        TOKENS.read(other, TOKENS.make(REQUEST, [17]))


def test_a_token_is_refused_by_another_database() -> None:
    with pytest.raises(InvalidRequest, match="page token"):
        PageTokens("another").read(REQUEST, TOKENS.make(REQUEST, [17]))
