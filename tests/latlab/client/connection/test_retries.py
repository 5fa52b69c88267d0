"""When a call that failed is made again."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from hypothesis import given
from hypothesis import strategies as st

from latlab.client.connection.retries import MAX_CALLS, MAX_WAIT_S, Repeat, Retries
from latlab.convert.errors import retry_s

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass
class Failed:
    """A call that failed, as gRPC reports it."""

    status: grpc.StatusCode
    told_s: float | None = None
    kind: str = ""
    details_bytes: bytes | None = field(default=None)

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "why"

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        found: list[tuple[str, str | bytes]] = []
        if self.kind:
            found.append(("latlab-error", self.kind))
        if self.told_s is not None:
            found.append(("grpc-status-details-bin", details(self.told_s)))
        if self.details_bytes is not None:
            found.append(("grpc-status-details-bin", self.details_bytes))
        return tuple(found)


def field_of(number: int, content: bytes) -> bytes:
    """A field of bytes, shorter than 128, as protobuf writes it."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def details(delay_s: float) -> bytes:
    """A google.rpc.Status with a RetryInfo, behind a detail of another kind."""
    delay = duration_pb2.Duration(seconds=int(delay_s), nanos=round(delay_s % 1 * 1e9))
    info = any_pb2.Any(
        type_url="type.googleapis.com/google.rpc.RetryInfo",
        value=field_of(1, delay.SerializeToString()),
    )
    other = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo")
    packed = [field_of(3, each.SerializeToString()) for each in (other, info)]
    return b"\x08\x08" + field_of(2, b"too much") + b"".join(packed)


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@given(
    st.sampled_from(list(Repeat)),
    st.floats(0, 1),
    st.floats(0.01, 1e4),
    st.lists(
        st.builds(
            Failed,
            st.sampled_from(list(grpc.StatusCode)),
            st.none() | st.floats(0, 100),
            st.sampled_from(["", "Unavailable", "DatabaseBusy", "LimitReached", "Nonsense"]),
        ),
        min_size=MAX_CALLS,
        max_size=MAX_CALLS,
    ),
)
def test_attempts_and_waits_are_bounded(
    repeat: Repeat, chance: float, timeout_s: float, failures: list[Failed]
) -> None:
    clock = Clock()
    retries = Retries(timeout_s, repeat, chance=lambda: chance, clock=clock)
    waits = []
    for failed in failures:
        if (wait_s := retries.wait_s(failed)) is None:
            break
        assert failed.status in (UNAVAILABLE, EXHAUSTED)
        waits.append(wait_s)
        clock.now_s += wait_s
    assert len(waits) < MAX_CALLS
    assert sum(waits) <= MAX_WAIT_S
    assert sum(waits) < timeout_s
    assert retries.left_s() > 0
    assert not (waits and repeat is Repeat.NEVER)


@pytest.mark.parametrize(
    ("repeat", "failed", "is_repeated"),
    [
        # The lab says when to ask again, and has done nothing.
        (Repeat.IF_REFUSED, Failed(EXHAUSTED, 1.0, "LimitReached"), True),
        (Repeat.YES, Failed(EXHAUSTED, 1.0, "LimitReached"), True),
        (Repeat.NEVER, Failed(EXHAUSTED, 1.0, "LimitReached"), False),
        # It is full, and does not say that this changes.
        (Repeat.YES, Failed(EXHAUSTED, None, "DiskFull"), False),
        # Nobody knows what a call has done whose answer is lost.
        (Repeat.YES, Failed(UNAVAILABLE), True),
        (Repeat.IF_REFUSED, Failed(UNAVAILABLE), False),
        # The database is away.
        (Repeat.YES, Failed(UNAVAILABLE, 2.0, "DatabaseBusy"), True),
        (Repeat.YES, Failed(UNAVAILABLE, None, "DatabaseBusy"), True),
        (Repeat.IF_REFUSED, Failed(UNAVAILABLE, 2.0, "DatabaseBusy"), False),
        # A device is away, which asking again does not change.
        (Repeat.YES, Failed(UNAVAILABLE, None, "Unavailable"), False),
        (Repeat.YES, Failed(grpc.StatusCode.DEADLINE_EXCEEDED), False),
        (Repeat.YES, Failed(grpc.StatusCode.PERMISSION_DENIED, 1.0), False),
        (Repeat.YES, Failed(grpc.StatusCode.INTERNAL), False),
    ],
)
def test_only_what_may_be_repeated_is(repeat: Repeat, failed: Failed, is_repeated: bool) -> None:
    assert (Retries(60, repeat).wait_s(failed) is not None) is is_repeated


def test_the_lab_of_this_machine_is_not_asked_again_at_its_old_port() -> None:
    assert Retries(60, Repeat.YES, reconnects=False).wait_s(Failed(UNAVAILABLE)) is None


def test_waits_grow_and_never_undercut_what_the_lab_has_said() -> None:
    retries = Retries(600, Repeat.YES, chance=lambda: 0.5)
    waits = [retries.wait_s(Failed(UNAVAILABLE)) or 0.0 for _ in range(3)]
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    wait_s = retries.wait_s(Failed(EXHAUSTED, 3.0))
    assert wait_s is not None
    assert wait_s >= 3.0


@given(st.binary(max_size=200))
def test_details_that_cannot_be_read_are_no_error(data: bytes) -> None:
    told_s = retry_s(Failed(EXHAUSTED, details_bytes=data))
    assert told_s is None or told_s >= 0


@given(st.floats(0, 1e6))
def test_the_time_to_ask_again_is_read(delay_s: float) -> None:
    assert retry_s(Failed(EXHAUSTED, delay_s)) == pytest.approx(delay_s, abs=1e-6)
