"""Predictions from a target's own measurements and from the lab's other targets together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latency_models.interference import Steadying
from latency_models.measured_networks import each_once
from latency_models.packing import pack
from latency_models.predictor import MIN_NETWORKS, LeftOuts, Predictor
from latency_models.targets.average import Transferred, blend, trust_in
from latency_models.targets.transfer import Transfer
from latlab.domain.errors import NotEnoughData, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate, Source, whole_ns
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class BlendedPredictor:
    """Averages what a target's own predictor says with what other targets say.

    Each counts by its precision, as the measured networks confirm it. So the other targets decide
    while little was measured on the target, and hardly matter later.

    Attributes:
        own: The target's own predictor; None while there are too few measurements for any.
        sources: The predictors of other targets.
        transfer: What the sources and the measurements on the target say together.
        trust: How many times the precision of the target's own predictor counts.
        samples: The number of distinct networks that were measured on the target.
        newest_unix_ns: The time of the newest measurement on it; 0 if there is none.
    """

    own: Predictor | None
    sources: tuple[Predictor, ...]
    transfer: Transfer
    trust: float
    samples: int
    newest_unix_ns: int

    @classmethod
    def fit(
        cls,
        own: Predictor | None,
        sources: Sequence[Predictor],
        networks: Sequence[MeasuredNetwork],
        references: Sequence[Sequence[Kernel]],
    ) -> BlendedPredictor:
        """Fit how the target's latencies follow from those on other targets.

        Args:
            own: The target's own predictor; None if there is none.
            sources: The predictors of other targets.
            networks: The measured networks of the target. Those with kinds of kernels that a
                source does not know are left out.
            references: Some networks that show how the sources differ, as their kernels; likewise.

        Raises:
            NotEnoughData: No source knows the kinds of kernels.
        """
        steadying = Steadying.none() if own is None else own.steadying
        once = each_once(list(map(steadying, networks)))
        one_of_each = {
            kernel.typed_kind: kernel
            for kernels in (*(network.kernels for network in once), *references)
            for kernel in kernels
        }
        known = [(source, _known_kinds(source, one_of_each)) for source in sources]
        helpful = [source for source, kinds in known if kinds]
        if not helpful:
            raise NotEnoughData("no other target knows the kinds of kernels")
        common = frozenset.intersection(*(kinds for _, kinds in known if kinds))
        once = [network for network in once if _kinds(network.kernels) <= common]
        shown = [kernels for kernels in references if _kinds(kernels) <= common]
        packed = pack([*(network.kernels for network in once), *shown])
        if len(packed[1]) == 0:
            raise NotEnoughData("the lab's targets have no kinds of kernels in common")
        columns, margins = _predictions(helpful, *packed)
        measured_ns = np.array([network.latency_ns for network in once])
        transfer = Transfer.fit(columns, np.arange(len(once)), measured_ns)
        left_out = transfer.left_out(columns[: len(once)]).widened(margins[: len(once)])
        return cls(
            own,
            tuple(helpful),
            transfer,
            1.0 if own is None else learned_trust(own.left_out, left_out, once),
            len(once),
            max((network.unix_ns for network in networks), default=0),
        )

    @property
    def steadying(self) -> Steadying:
        """The correction for interference of the target's own predictor."""
        return Steadying.none() if self.own is None else self.own.steadying

    def predict(
        self,
        table: Sequence[Kernel],
        lengths: IntArray,
        indices: IntArray,
        now_unix_ns: int,
        *,
        guess: bool = False,
    ) -> list[LatencyEstimate]:
        """Return the latency estimate of each network, as `Predictor.predict` says.

        Its source is the one that counts more. If any source does not know a kind of kernel of
        the networks, the target's own predictor answers alone.
        """
        try:
            sources_ns, margins = _predictions(self.sources, table, lengths, indices)
        except UnknownKernelKinds:
            if self.own is None:
                raise
            return self.own.predict(table, lengths, indices, now_unix_ns, guess=guess)
        transferred = self.transfer.predict(sources_ns).widened(margins)
        if self.own is None:
            return [self._estimate(*ns, now_unix_ns) for ns in _rows(transferred)]
        own = self.own.predict(table, lengths, indices, now_unix_ns, guess=guess)
        blended, weights = blend(_arrays(own), transferred, self.trust)
        return [
            replace(
                estimate,
                latency_ns=whole_ns(latency_ns),
                lower_ns=whole_ns(lower_ns),
                upper_ns=whole_ns(upper_ns),
                source=estimate.source if weight >= 0.5 else Source.TRANSFER,
            )
            for estimate, (latency_ns, lower_ns, upper_ns), weight in zip(
                own, _rows(blended), weights.tolist(), strict=True
            )
        ]

    def _estimate(
        self, latency_ns: float, lower_ns: float, upper_ns: float, now_unix_ns: int
    ) -> LatencyEstimate:
        """Return the estimate of a network that only other targets know something about.

        Its coverage is 0, because the target itself has no predictor that knows any kernel.
        """
        age_s = max(0, now_unix_ns - self.newest_unix_ns) / 1e9 if self.samples else 0.0
        return LatencyEstimate(
            latency_ns=whole_ns(latency_ns),
            lower_ns=whole_ns(lower_ns),
            upper_ns=whole_ns(upper_ns),
            source=Source.TRANSFER,
            coverage=0.0,
            samples=self.samples,
            age_s=age_s,
        )


def learned_trust(
    own: LeftOuts, transferred: Transferred, networks: Sequence[MeasuredNetwork]
) -> float:
    """Return how many times the precision of the target's own predictor should count.

    Args:
        own: What it predicts of measured networks without each.
        transferred: The (networks,) predictions from the sources, likewise.
        networks: The measured networks, each once.
    """
    found = [own.get((network.kernels, network.structure)) for network in networks]
    rows = [row for row, each in enumerate(found) if each is not None]
    if len(rows) < MIN_NETWORKS:
        return 1.0
    latencies_ns = np.array([each.latency_ns for each in found if each is not None])
    factors = np.exp([each.half_width for each in found if each is not None])
    return trust_in(
        Transferred(latencies_ns, latencies_ns / factors, latencies_ns * factors),
        transferred.rows(rows),
        np.array([networks[row].latency_ns for row in rows]),
    )


def _kinds(kernels: Sequence[Kernel]) -> frozenset[str]:
    return frozenset(kernel.typed_kind for kernel in kernels)


def _known_kinds(source: Predictor, one_of_each: Mapping[str, Kernel]) -> frozenset[str]:
    """Return the kinds that the source knows, of kinds that are given with a kernel of each."""
    if not one_of_each:
        return frozenset()
    try:
        source.predict(*pack([tuple(one_of_each.values())]), now_unix_ns=0)
    except UnknownKernelKinds as unknown:
        return frozenset(one_of_each).difference(unknown.kinds)
    return frozenset(one_of_each)


def _predictions(
    sources: Sequence[Predictor], table: Sequence[Kernel], lengths: IntArray, indices: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return what the sources say of each network.

    Returns:
        The (networks, sources) latencies in ns, and the (networks,) root mean squares over sources
        of the half widths of the 90 % intervals of their logarithms.
    """
    predicted = [
        _arrays(source.predict(table, lengths, indices, now_unix_ns=0)) for source in sources
    ]
    half_widths = np.array([np.log(of_one.upper_ns / of_one.lower_ns) / 2 for of_one in predicted])
    latencies_ns = np.column_stack([of_one.latency_ns for of_one in predicted])
    return latencies_ns, np.sqrt((half_widths**2).mean(axis=0))


def _arrays(estimates: Sequence[LatencyEstimate]) -> Transferred:
    """Return estimates as arrays; a bound below 1 ns is 1 ns, for logarithms are taken."""
    columns = zip(*((e.latency_ns, max(1, e.lower_ns), e.upper_ns) for e in estimates), strict=True)
    return Transferred(*(np.array(column, dtype=np.float64) for column in columns))


def _rows(predicted: Transferred) -> Iterator[tuple[float, float, float]]:
    yield from zip(
        predicted.latency_ns.tolist(),
        predicted.lower_ns.tolist(),
        predicted.upper_ns.tolist(),
        strict=True,
    )
