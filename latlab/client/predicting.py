"""The request that asks for predictions."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from latlab.convert.kernels import kernel_to_message
from latlab.domain.kernel import Kernel, pack
from latlab.v1 import latency_pb2

# Networks share most of their kernels. Nothing changes the messages.
_kernel_to_message = functools.lru_cache(maxsize=65_536)(kernel_to_message)


def predict_request(
    target: str,
    networks: Sequence[Sequence[Kernel]],
    *,
    min_measurements: int = 0,
    strict: bool = False,
) -> latency_pb2.PredictRequest:
    """Return the request for the latencies of networks: see `LatencyClient.predict`."""
    table, lengths, indices = pack(networks)
    return latency_pb2.PredictRequest(
        target=target,
        kernels=map(_kernel_to_message, table),
        lengths=lengths,
        indices=indices,
        min_measurements=min_measurements,
        guess=not strict,
    )
