"""The reward: accuracy, weighed by latency against its target."""

from __future__ import annotations

SOFT = (-0.07, -0.07)  # (alpha, beta); doubling latency is worth about 5 % relative accuracy
HARD = (0.0, -1.0)  # accuracy alone within the target, a sharp penalty above it


def reward(
    accuracy: float,
    latency_ns: float,
    target_ns: float,
    alpha: float = SOFT[0],
    beta: float = SOFT[1],
) -> float:
    """ACC·(LAT/T)^w, where w is `alpha` within the target and `beta` above it.

    The objective of MnasNet (Tan et al., arXiv 1807.11626, equation 2). Raises ValueError
    where a latency is not above zero.
    """
    if target_ns <= 0:
        raise ValueError(f"the target latency must be above zero, not {target_ns} ns")
    if latency_ns <= 0:
        raise ValueError(f"a latency must be above zero, not {latency_ns} ns")
    exponent = alpha if latency_ns <= target_ns else beta
    return float(accuracy * (latency_ns / target_ns) ** exponent)
