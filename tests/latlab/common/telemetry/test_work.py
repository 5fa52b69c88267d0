"""What the present work belongs to, and ids of requests that clients choose."""

from __future__ import annotations

import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.common.telemetry.work import (
    Work,
    begin_call,
    new_request_id,
    present_work,
    request_id,
    working,
)


def test_blocks_add_to_what_the_work_belongs_to() -> None:
    assert present_work() == Work()
    with working(job_id="job"), working(run_id="run", owner=""):
        assert present_work() == Work(job_id="job", run_id="run")
    assert present_work() == Work()


def test_a_call_keeps_its_id_in_its_own_context() -> None:
    def call() -> str:
        begin_call("one", "/a/B")
        with working(owner="ann"):
            assert present_work() == Work("one", "/a/B", owner="ann")
        return request_id()

    assert contextvars.Context().run(call) == "one"
    assert request_id() == ""


@pytest.mark.parametrize("wanted", ["1", "a-b_c.d:e", "x" * 64])
def test_a_sane_id_of_the_client_is_kept(wanted: str) -> None:
    assert new_request_id(wanted) == wanted


@given(st.text())
def test_any_other_is_replaced(wanted: str) -> None:
    made = new_request_id(wanted)
    assert made.isascii()
    assert made.isprintable()
    assert 1 <= len(made) <= 64
    assert " " not in made


@pytest.mark.parametrize("wanted", ["", "x" * 65, "a b", "a\n", "é", "a/b", '"'])
def test_a_strange_id_is_replaced(wanted: str) -> None:
    assert len(new_request_id(wanted)) == 32
