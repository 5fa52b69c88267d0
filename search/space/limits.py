"""Upper limits on a network's size: parameters, multiply-adds and bytes.

Limits are named like the values of `quantities`. A quantity without a limit is not bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from latlab.domain.precision import Precision
from search.space.architecture import Architecture
from search.space.counts import counts
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.space import Space

Limits = Mapping[str, int]
Allows = Callable[[Architecture], bool]  # returns whether a network may be proposed

MILLIONS_OF = {
    "parameters": "M parameters",
    "multiply_adds": "M multiply-adds",
    "program_bytes": "MB of program",
}
PARAMETER_BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.INT8: 1}
SAMPLES = 1000

# After so many candidates in a row that are not allowed, a strategy proposes the last one `fitted`.
MAX_DRAWS = 50


def everything(architecture: Architecture) -> bool:
    """Allow every network, as without limits."""
    return True


def quantities(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> dict[str, int]:
    """Return a network's parameters, multiply-adds and program bytes.

    The program's bytes are estimated as those of its parameters: a program is little else than
    its weights, and exporting every candidate would take too long. The estimate is within 1 % for
    float32 programs, and a few percent too low for the small ones of other precisions.
    """
    counted = counts(architecture, deployment)
    return {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "program_bytes": PARAMETER_BYTES[deployment.precision] * counted.parameters,
    }


def excess(
    architecture: Architecture, limits: Limits, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> str:
    """Say in words which limits a network exceeds; return "" if it exceeds none."""
    if not limits:
        return ""
    has = quantities(architecture, deployment)
    return ", ".join(
        f"{has[name] / 1e6:.2f} {MILLIONS_OF[name]} where {limit / 1e6:g} are allowed"
        for name, limit in limits.items()
        if has[name] > limit
    )


def share_within(
    space: Space, limits: Limits, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> float:
    """Return the share of `SAMPLES` random networks of the space that are within the limits.

    Raises:
        ValueError: Not even the smallest network is within the limits. The message names the
            limits that exclude it, and what they have to allow.
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
    within = sum(not excess(architecture, limits, deployment) for architecture in sampled)
    return within / SAMPLES


def fitted(space: Space, choices: Sequence[int], allows: Allows) -> tuple[int, ...]:
    """Return choices close to `choices` whose network is allowed.

    Starts with the smallest network of the space and takes over one choice after another, as
    long as the network stays allowed. The order is random, so that no block is favoured. It
    depends on `choices` alone, so that a resumed search repeats it.

    Args:
        space: The space, whose smallest network must be allowed.
        choices: The wanted choices.
        allows: Returns whether a network is allowed.
    """
    taken = list(space.smallest)
    for index in np.random.default_rng(choices).permutation(len(taken)):
        smallest, taken[index] = taken[index], choices[index]
        if not allows(space.resolve(taken)):
            taken[index] = smallest
    return tuple(taken)
