"""The reward: accuracy, weighed by latency against its target."""

from __future__ import annotations

SOFT = (-0.07, -0.07)  # (alpha, beta); doubling latency is worth about 5 % relative accuracy
HARD = (0.0, -1.0)  # accuracy alone within the target, a sharp penalty above it
# Of the absolute reward: the soft one's slope at the target, for an accuracy of 1.
ABSOLUTE_BETA = -0.07


def reward(
    accuracy: float,
    latency_ns: float,
    target_ns: float,
    alpha: float = SOFT[0],
    beta: float = SOFT[1],
    *,
    absolute: bool = False,
) -> float:
    """ACC·(LAT/T)^w, where w is `alpha` within the target and `beta` above it: the objective
    of MnasNet (Tan et al., arXiv 1807.11626, equation 2).

    absolute: ACC + beta·|LAT/T − 1| instead, TuNAS's (Bender et al., arXiv 2008.06120), which
    draws the search to the target from both sides; `alpha` has no part in it. Raises
    ValueError where a latency is not above zero, or an absolute beta not below.
    """
    if target_ns <= 0:
        raise ValueError(f"the target latency must be above zero, not {target_ns} ns")
    if latency_ns <= 0:
        raise ValueError(f"a latency must be above zero, not {latency_ns} ns")
    if absolute:
        if beta >= 0:
            raise ValueError(f"the absolute reward needs a beta below zero, not {beta}")
        return float(accuracy + beta * abs(latency_ns / target_ns - 1))
    exponent = alpha if latency_ns <= target_ns else beta
    return float(accuracy * (latency_ns / target_ns) ** exponent)
