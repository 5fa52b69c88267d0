"""What a network may have at most, beside its latency: parameters, multiply-adds, bytes.

`limits` are by the names of `quantities`; those that are missing bound nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.deployment import DEFAULT, Deployment
from search.space.space import Space

Limits = Mapping[str, int]
Allows = Callable[[Architecture], bool]  # whether it may be proposed

MILLIONS_OF = {
    "parameters": "M parameters",
    "multiply_adds": "M multiply-adds",
    "program_bytes": "MB of program",
}
SAMPLES = 1000

# So often a strategy draws a candidate that is not allowed; the last is `fitted`.
MAX_DRAWS = 50


def everything(architecture: Architecture) -> bool:
    """Allowed where there are no limits."""
    return True


def quantities(architecture: Architecture, deployment: Deployment = DEFAULT) -> dict[str, int]:
    """Of the network as it would be deployed. The program's bytes are an estimate, within 1 %:
    its weights in float32 are nearly all of it, and exporting each candidate takes seconds."""
    counted = counts(architecture, deployment=deployment)
    return {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "program_bytes": 4 * counted.parameters,
    }


def excess(architecture: Architecture, limits: Limits, deployment: Deployment = DEFAULT) -> str:
    """What it has too much of, in words; "" where it is within the limits."""
    if not limits:
        return ""
    has = quantities(architecture, deployment)
    return ", ".join(
        f"{has[name] / 1e6:.2f} {MILLIONS_OF[name]} where {limit / 1e6:g} are allowed"
        for name, limit in limits.items()
        if has[name] > limit
    )


def share_within(space: Space, limits: Limits, deployment: Deployment = DEFAULT) -> float:
    """Of `SAMPLES` random networks, how many are within the limits, as a share.

    Raises ValueError where not even the smallest network of the space is, saying which limits
    exclude it, and what they have to allow.
    """
    smallest = quantities(space.resolve(space.smallest), deployment)
    binding = [name for name, limit in limits.items() if smallest[name] > limit]
    if binding:
        raise ValueError(
            f"no network of {space.name} is within the limits: "
            + "; ".join(
                f"{limits[name] / 1e6:g} {MILLIONS_OF[name]} are allowed, and the smallest has "
                f"{math.ceil(smallest[name] / 1e4) / 100:.2f}"
                for name in binding
            )
            + ". Allow more"
        )
    rng = np.random.default_rng(0)
    sampled = (space.resolve(space.sample(rng)) for _ in range(SAMPLES))
    return sum(not excess(architecture, limits, deployment) for architecture in sampled) / SAMPLES


def fitted(space: Space, choices: Sequence[int], allows: Allows) -> tuple[int, ...]:
    """Choices of a network that is allowed, where the smallest of the space is: beginning with
    that one, those of `choices` are taken, one after another, with which it still is.

    In random order, so that no block is favoured; the order follows from `choices` alone, so
    that a replay fits alike.
    """
    taken = list(space.smallest)
    for index in np.random.default_rng(choices).permutation(len(taken)):
        smallest, taken[index] = taken[index], choices[index]
        if not allows(space.resolve(taken)):
            taken[index] = smallest
    return tuple(taken)
