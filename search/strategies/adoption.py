"""Recorded architectures that a replayed strategy does not propose again."""

from __future__ import annotations

from collections.abc import Iterable

from search.space.architecture import Architecture
from search.space.space import Space


def differing_choices(
    space: Space, proposed: Iterable[Architecture], recorded: Iterable[Architecture]
) -> dict[int, tuple[int, ...]]:
    """Return the choices of each recorded architecture that was not proposed, by its index.

    Args:
        space: The space of the strategy.
        proposed: What the strategy proposes.
        recorded: What it proposed when the study was made, as many.

    Raises:
        ValueError: A recorded architecture does not lie in the space.
    """
    differing = {}
    for index, (own, other) in enumerate(zip(proposed, recorded, strict=True)):
        if own != other:
            choices = space.spell(other)
            if choices is None:
                raise ValueError(f"the network {other.id} does not lie in the space {space.name}")
            differing[index] = choices
    return differing
