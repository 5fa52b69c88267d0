"""Why a job waits, in words for a person. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """A device of the job's target. obstacle: why it takes no job now, "" where it does."""

    name: str
    obstacle: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands. is_taken: a device is at it; awaited_from: the serial of a device
    whose answer is to be fetched, "" for none; rests: between two visits; ahead: jobs of its
    target whose rank is higher."""

    is_taken: bool
    awaited_from: str
    rests: bool
    ahead: int


def waits_for(place: Place, servers: Sequence[Server]) -> str:
    obstacles = [f"{server.name}: {server.obstacle}" for server in servers if server.obstacle]
    if place.is_taken:
        return "; ".join(["its visit", *obstacles]) if obstacles else "its visit, under way"
    if place.awaited_from:
        return f"the answer of {place.awaited_from}"
    if not servers:
        return "no device is connected"
    if len(obstacles) == len(servers):
        return "; ".join(obstacles)
    if place.rests:
        return "its next visit: it rests between two"
    return f"behind {place.ahead} others" if place.ahead else "next in turn"
