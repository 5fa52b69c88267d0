from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from latlab.client.connection.stream_timeout import until_silent


def test_what_ends_is_heard_to_its_end() -> None:
    assert list(until_silent(iter(range(100)), patience_s=60)) == list(range(100))
    assert list(until_silent(iter([None]), patience_s=60)) == [None]


def test_after_a_silence_it_ends_without_the_rest() -> None:
    ended = threading.Event()

    def falls_silent() -> Iterator[int]:
        yield from (1, 2)
        ended.wait(timeout=60)
        yield 3

    assert list(until_silent(falls_silent(), patience_s=0.5)) == [1, 2]
    ended.set()


def test_what_the_events_raise_is_raised() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        raise OSError("the line is dead")

    events = until_silent(breaks(), patience_s=60)
    assert next(events) == 1
    with pytest.raises(OSError, match="the line is dead"):
        next(events)
