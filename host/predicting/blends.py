"""Predictors of targets on which little was measured, which the lab's other targets help."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from host.database.connections.call_reads import read_for_all
from host.database.devices import measurement_counts
from host.database.engine import Database
from host.database.measurements import measured_networks, trusted_ids
from host.predicting.predictors import WAIT_S, Predictors
from host.predicting.snapshot import Snapshot
from latency_models.predictor import ENOUGH_NETWORKS, MIN_NETWORKS, Predictor
from latency_models.targets.blended_predictor import BlendedPredictor
from latlab.domain.errors import NotEnoughData, NotReady, Unavailable
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

MOST_SOURCES = 4
# Counting a million measurements takes seconds.
COUNTED_AFTER_S = 600.0
# The newest measurements of a source whose networks show how sources differ.
REFERENCES_OF_EACH = 60


@dataclass(frozen=True)
class _Blend:
    """A blended predictor, and what it was made of; None if the sources do not help."""

    snapshots: tuple[Snapshot | None, ...]
    measurements: int
    predictor: BlendedPredictor | None


@dataclass(frozen=True)
class _Stored:
    """When the database was asked, the target's measurements, and which targets may help it."""

    asked_s: float
    measurements: int
    sources: tuple[str, ...]


class Blends:
    """The predictor of each target, blended with those of other targets where little was measured.

    Thread-safe. A blend is made when somebody asks for it, and again when a snapshot that it was
    made of has been replaced.
    """

    def __init__(self, database: Database, predictors: Predictors) -> None:
        self._database = database
        self._predictors = predictors
        self._lock = threading.Lock()
        self._blends: dict[str, _Blend] = {}
        self._stored: dict[str, _Stored] = {}

    def get(
        self, target_id: str, min_measurements: int = 0, timeout_s: float = WAIT_S
    ) -> Predictor | BlendedPredictor:
        """Return the target's predictor.

        Args:
            target_id: The target's id.
            min_measurements: As for `Predictors.get`.
            timeout_s: How long to wait for fits.

        Raises:
            NotReady: Too little was measured and no other target helps, or a fit did not end in
                time.
            Unavailable: The fit failed.
        """
        deadline_s = time.monotonic() + timeout_s
        own: Snapshot | None = None
        few = NotReady("too little was measured")
        try:
            own = self._predictors.get(target_id, min_measurements, timeout_s)
        except NotReady as error:
            few = error
        if own is not None and own.predictor.samples >= ENOUGH_NETWORKS:
            return own.predictor
        stored = self._ask(target_id, is_measured=own is not None)
        if own is None and (
            stored.measurements >= MIN_NETWORKS or min_measurements > stored.measurements
        ):
            raise few
        sources = self._sources(stored.sources, own is None, deadline_s)
        blended = self._blended(target_id, own, sources, stored.measurements) if sources else None
        if blended is not None:
            return blended
        if own is None:
            raise few
        return own.predictor

    def _ask(self, target_id: str, *, is_measured: bool) -> _Stored:
        """Return what is stored, as of some minutes ago if the target has a snapshot."""
        now_s = time.monotonic()
        with self._lock:
            known = self._stored.get(target_id)
        if is_measured and known is not None and now_s - known.asked_s < COUNTED_AFTER_S:
            return known
        with read_for_all(), self._database.reading() as connection:
            counts = measurement_counts(connection)
        measurements = counts.pop(target_id, 0)
        helpful = [id_ for id_, count in counts.items() if count >= MIN_NETWORKS]
        most = sorted(helpful, key=lambda id_: -counts[id_])[:MOST_SOURCES]
        found = _Stored(now_s, measurements, tuple(most))
        with self._lock:
            self._stored[target_id] = found
        return found

    def _sources(
        self, target_ids: Sequence[str], waits: bool, deadline_s: float
    ) -> dict[str, Snapshot]:
        """Return snapshots by targets: those that there are, or all, which may take a while."""
        sources = {}
        for target_id in target_ids:
            snapshot = self._predictors.find(target_id)
            if snapshot is None and waits:
                try:
                    remaining_s = max(0.0, deadline_s - time.monotonic())
                    snapshot = self._predictors.get(target_id, timeout_s=remaining_s)
                except (NotReady, Unavailable):
                    continue
            if snapshot is None:
                self._predictors.request(target_id)
            else:
                sources[target_id] = snapshot
        return sources

    def _blended(
        self,
        target_id: str,
        own: Snapshot | None,
        sources: dict[str, Snapshot],
        measurements: int,
    ) -> BlendedPredictor | None:
        """Return the blend of the snapshots; None if the sources know other kinds of kernels."""
        snapshots = (own, *sources.values())
        # A target with a snapshot is blended anew when it is fitted anew.
        counted = 0 if own is not None else measurements
        with self._lock:
            known = self._blends.get(target_id)
        if known is not None and _same(known, snapshots, counted):
            return known.predictor
        with read_for_all(), self._database.reading() as connection:
            networks = [network for _, _, network in measured_networks(connection, target_id)]
            references = [
                network
                for source in sources
                for _, _, network in measured_networks(
                    connection, source, trusted_ids(connection, source)[-REFERENCES_OF_EACH:]
                )
            ]
        predictor = None if own is None else own.predictor
        others = [snapshot.predictor for snapshot in sources.values()]
        blended: BlendedPredictor | None
        try:
            blended = BlendedPredictor.fit(predictor, others, networks, _kernels(references))
        except NotEnoughData:
            blended = None
        with self._lock:
            self._blends[target_id] = _Blend(snapshots, counted, blended)
        return blended


def _same(blend: _Blend, snapshots: tuple[Snapshot | None, ...], measurements: int) -> bool:
    pairs = zip(blend.snapshots, snapshots, strict=False)
    return (
        len(blend.snapshots) == len(snapshots)
        and all(old is new for old, new in pairs)
        and blend.measurements == measurements
    )


def _kernels(networks: Sequence[MeasuredNetwork]) -> list[tuple[Kernel, ...]]:
    return list(dict.fromkeys(network.kernels for network in networks))
