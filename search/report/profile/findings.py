"""What the files show of a finding."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from latlab.profiling.profile import Span


class Finding(Protocol):
    """Something that makes a network slower than it needs to be."""

    @property
    def kind(self) -> Enum:
        """The kind; its value is the kind's name for people."""

    @property
    def cost(self) -> Span:
        """The time that the remedy is expected to save."""

    @property
    def rows(self) -> tuple[int, ...]:
        """The profile's rows that it is about, from 0."""

    @property
    def what(self) -> str:
        """What is wrong, as a sentence."""

    @property
    def remedy(self) -> str:
        """What to do about it, as a sentence."""
