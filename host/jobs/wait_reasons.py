"""Explain to people what a job waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from host.jobs.job_state import JobState
from host.jobs.queue import JobQueue
from latlab.domain.job import WaitReason


@dataclass(frozen=True, slots=True)
class ServingDevice:
    """A device that serves the job's target.

    Attributes:
        name: Its transport.
        obstacle: Why it takes no job now; "" if it does.
    """

    name: str
    obstacle: str


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """The position of an open job.

    Attributes:
        is_taken: Whether a device works on it.
        awaited_from: Serial of a device whose answer is to be fetched; "" for none.
        rests: Whether it rests between two visits.
        is_paused: Whether it waits for a client to ask for it again.
        ahead: How many jobs of its target have a higher rank and are not paused.
    """

    is_taken: bool
    awaited_from: str
    rests: bool
    is_paused: bool
    ahead: int


def position(state: JobState, queue: JobQueue) -> QueuePosition:
    """Return the position of an open job."""
    return QueuePosition(
        is_taken=queue.is_taken(state),
        awaited_from="" if state.asked is None else state.device_serial,
        rests=state.rests_until_ns > 0,
        is_paused=state.is_paused,
        ahead=queue.ahead(state),
    )


def wait_reason(position: QueuePosition, serving: Sequence[ServingDevice]) -> WaitReason | None:
    """Return why the job does not go on at once; None while its visit is under way."""
    is_blocked = bool(serving) and all(device.obstacle for device in serving)
    if position.is_taken:
        # A device that is too hot, say, keeps the job that it has taken until it may go on.
        waits = is_blocked and not position.awaited_from
        return WaitReason.DEVICE_NOT_READY if waits else None
    if position.awaited_from:
        return WaitReason.ANSWER
    if position.is_paused:
        return WaitReason.PAUSED
    if not serving:
        return WaitReason.NO_DEVICE
    if is_blocked:
        return WaitReason.DEVICE_NOT_READY
    if position.rests:
        return WaitReason.RESTS
    return WaitReason.BEHIND_OTHERS if position.ahead else WaitReason.NEXT


def waits_for(position: QueuePosition, serving: Sequence[ServingDevice]) -> str:
    """Return what the job waits for, in words."""
    obstacles = [f"{device.name}: {device.obstacle}" for device in serving if device.obstacle]
    if position.is_taken:
        return "; ".join(["its visit", *obstacles]) if obstacles else "its visit, under way"
    if position.awaited_from:
        return f"the answer of {position.awaited_from}"
    if position.is_paused:
        return "somebody to measure it again: it is paused"
    if not serving:
        return "no connected device serves its target"
    if len(obstacles) == len(serving):
        return "; ".join(obstacles)
    if position.rests:
        return "its next visit: it rests between two"
    return f"behind {position.ahead} others" if position.ahead else "next in turn"
