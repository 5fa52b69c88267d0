"""The facts about a target, and those that its predictions rest on."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, median

from sqlalchemy import Connection

from host.database.engine import Database
from host.database.listing.measurement_pages import StoredLatency, newest_latencies
from host.database.measurements import measured_networks
from host.predicting.predictors import Predictors
from latency_models.evaluate import score
from latlab.domain.records.predictions import TargetDetails
from latlab.domain.target import TargetStatus

# The newest measurements say enough, and a target may have a million.
NEWEST = 2_000
NEWEST_NETWORKS = 500
SHOWN_REFITS = 100

log = logging.getLogger(__name__)


class TargetFacts:
    """Answers what is known about targets. Thread-safe."""

    def __init__(self, database: Database, predictors: Predictors) -> None:
        self._database = database
        self._predictors = predictors

    def details(self, status: TargetStatus) -> TargetDetails:
        """Return the details of a target whose status is known. Raises StorageError."""
        target_id = status.target.id
        with self._database.reading() as connection:
            newest = newest_latencies(connection, target_id, NEWEST)
            ids = [each.measurement_id for each in newest[:NEWEST_NETWORKS]]
            kinds, coverage = self._networks(connection, target_id, ids[::-1])
        age_s = max(0.0, (time.time_ns() - newest[0].unix_ns) / 1e9) if newest else None
        refits = self._predictors.history.refits(target_id)
        return TargetDetails(
            status=status,
            refits=tuple(reversed(refits[-SHOWN_REFITS:])),
            noise_floor=noise_floor(newest),
            newest_age_s=age_s,
            kernel_kinds=kinds,
            interval_coverage=coverage,
        )

    def _networks(
        self, connection: Connection, target_id: str, ids: Sequence[str]
    ) -> tuple[dict[str, int], float | None]:
        """Return the kernels of each kind, and the coverage of intervals since the last refit."""
        networks = [network for _, _, network in measured_networks(connection, target_id, ids)]
        kernels = {kernel for network in networks for kernel in network.kernels}
        kinds = dict(sorted(Counter(kernel.kind for kernel in kernels).items()))
        snapshot = self._predictors.find(target_id)
        if snapshot is None:
            return kinds, None
        new = [
            network
            for network in networks
            if network.kernels and hash(network.kernels) not in snapshot.network_hashes
        ]
        try:
            return kinds, score(snapshot.predictor, new).inside_interval if new else None
        except Exception:  # a predictor may fail on odd networks; the rest is still of use
            log.exception("the predictor of target %s could not be scored", target_id)
            return kinds, None


def noise_floor(latencies: Sequence[StoredLatency]) -> float | None:
    """Return by what share two measurements of one network usually differ.

    It is the median, over networks that were measured repeatedly with one spec, of half of the
    range of their latencies. None if there are none.
    """
    repeated: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in latencies:
        repeated[each.program_sha256, each.spec].append(each.latency_ns)
    shares = [
        (max(same) - min(same)) / 2 / fmean(same) for same in repeated.values() if len(same) > 1
    ]
    return median(shares) if shares else None
