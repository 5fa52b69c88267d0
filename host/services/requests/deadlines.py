"""How long calls may take."""

from __future__ import annotations

import grpc

from host.predicting.predictors import WAIT_S


def remaining_s(context: grpc.ServicerContext) -> float:
    """Return how long a call may wait for a fit: until its deadline, and WAIT_S at most."""
    return min(context.time_remaining() or WAIT_S, WAIT_S)
