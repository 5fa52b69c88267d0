"""Measurements as the lab keeps them: used, excluded by their owner, or of no use."""

from __future__ import annotations

from dataclasses import dataclass

from latlab.domain.domain import Failure


@dataclass(frozen=True, slots=True)
class Unusable:
    """A stored measurement that is set aside: damaged, written by a newer version, or of
    numbers that no network can have taken. `why` is for people."""

    measurement_id: str
    target_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    unix_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """What is shown of one in a list.

    target: its name. latency_ns with its 90 % interval, as measured, None where that cannot be
    said. clean_visits, visits: the untraced ones that brought samples; failed_visits brought
    none. unusable: why it is of no use, "" where it can be used.
    """

    id: str
    unix_ns: int
    target: str
    target_id: str
    program_sha256: str
    latency_ns: int | None
    lower_ns: int | None
    upper_ns: int | None
    clean_visits: int
    visits: int
    suspect: bool
    is_sentinel: bool
    exclusion: Exclusion | None
    unusable: str
    failed_visits: tuple[Failure, ...] = ()
