"""What a network may have at most, beside its latency: parameters, multiply-adds, bytes.

`limits` are by the names of `quantities`; those that are missing bound nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from search.architecture import Architecture
from search.counts import counts
from search.space import Space

Limits = Mapping[str, int]
Allows = Callable[[Architecture], bool]  # whether it may be proposed

MILLIONS_OF = {
    "parameters": "M parameters",
    "multiply_adds": "M multiply-adds",
    "program_bytes": "MB of program",
}
SAMPLES = 1000

# So often a strategy draws a candidate that is not allowed; the last is proposed as it is, and
# its trial says what it has too much of.
MAX_DRAWS = 200


def everything(architecture: Architecture) -> bool:
    """Allowed where there are no limits."""
    return True


def quantities(architecture: Architecture) -> dict[str, int]:
    """Of the network as it would be deployed. The program's bytes are an estimate, within 1 %:
    its weights in float32 are nearly all of it, and exporting each candidate takes seconds."""
    counted = counts(architecture)
    return {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "program_bytes": 4 * counted.parameters,
    }


def excess(architecture: Architecture, limits: Limits) -> str:
    """What it has too much of, in words; "" where it is within the limits."""
    if not limits:
        return ""
    has = quantities(architecture)
    return ", ".join(
        f"{has[name] / 1e6:.2f} {MILLIONS_OF[name]} where {limit / 1e6:g} are allowed"
        for name, limit in limits.items()
        if has[name] > limit
    )


def share_within(space: Space, limits: Limits) -> float:
    """Of `SAMPLES` random networks, how many are within the limits, as a share.

    Raises ValueError where there is none, saying which limit excludes how many, and the least
    that it can be.
    """
    rng = np.random.default_rng(0)
    sampled = [quantities(space.resolve(space.sample(rng))) for _ in range(SAMPLES)]
    within = [all(has[name] <= limit for name, limit in limits.items()) for has in sampled]
    if any(within):
        return sum(within) / SAMPLES
    raise ValueError(
        f"of {SAMPLES:,} random networks of {space.name} none is within the limits: "
        + "; ".join(
            f"{limit / 1e6:g} {MILLIONS_OF[name]} exclude "
            f"{sum(has[name] > limit for has in sampled):,}, and the least there can be are "
            f"{least(space, name) / 1e6:.2f}"
            for name, limit in limits.items()
        )
        + ". Allow more"
    )


def least(space: Space, name: str) -> int:
    """Of the quantity, in any network of the space: decision after decision takes the choice
    that leaves the least, until none changes. That finds the very least because each layer
    adds to the quantity, with every channel more of it."""

    def quantity(choices: tuple[int, ...]) -> int:
        return quantities(space.resolve(choices))[name]

    choices, before = tuple(0 for _ in space.decisions), None
    while choices != before:
        before = choices
        for index, decision in enumerate(space.decisions):
            options = [
                (*choices[:index], choice, *choices[index + 1 :])
                for choice in range(len(decision.choices))
            ]
            choices = min([choices, *options], key=quantity)
    return quantity(choices)
