"""Answer the latencies of uploaded programs: measured, predicted, or whichever there is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.database.engine import Database
from host.database.listing.newest_of_programs import newest_measurements
from host.predicting.estimates import known_steadying, look_up
from host.predicting.predictors import Predictors
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import NotFound, UnreadableRow
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.records.predictions import QueryMode

Predict = Callable[
    [Sequence[Kernel], NDArray[np.int64], NDArray[np.int64]], Sequence[LatencyEstimate]
]


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks in the form of `latlab.domain.kernel.pack`.

    Attributes:
        table: (rows,) the distinct kernels.
        lengths: (networks,) how many kernels each network has.
        indices: (sum of lengths,) rows of the table, network after network.
    """

    table: Sequence[Kernel]
    lengths: NDArray[np.int64]
    indices: NDArray[np.int64]

    def and_of(self, others: Sequence[Sequence[Kernel]]) -> Networks:
        """Return these networks and then others, which are given by their kernels."""
        if not others:
            return self
        rows: dict[Kernel, int] = {}
        indices = [
            rows.setdefault(kernel, len(self.table) + len(rows))
            for network in others
            for kernel in network
        ]
        return Networks(
            [*self.table, *rows],
            np.concatenate([self.lengths, np.array([len(each) for each in others], np.int64)]),
            np.concatenate([self.indices, np.array(indices, np.int64)]),
        )


class ProgramAnswers:
    """Answers the latencies of networks and of uploaded programs. Thread-safe.

    Args:
        database: Where measurements are stored.
        predictors: Correct measured latencies.
        kernels_of: Returns the kernels of an uploaded program. It may raise NotFound.
    """

    def __init__(
        self,
        database: Database,
        predictors: Predictors,
        kernels_of: Callable[[str], tuple[Kernel, ...]],
    ) -> None:
        self._database = database
        self._predictors = predictors
        self._kernels_of = kernels_of

    def answer(
        self,
        target_id: str,
        networks: Networks,
        programs: Sequence[str],
        mode: QueryMode,
        spec: BenchmarkSpec | None,
        predict: Predict,
    ) -> tuple[list[LatencyEstimate], set[str]]:
        """Return the estimates of the networks and then of the programs.

        Args:
            target_id: The target.
            networks: Networks, which are always predicted.
            programs: The SHA-256 of uploaded programs.
            mode: Which answers are taken for the programs.
            spec: How they must have been measured; None: in any way but under sustained load.
            predict: Predicts networks.

        Returns:
            The estimates, and the programs among them that were measured.

        Raises:
            NotFound: A program was not uploaded, or not measured where only that is taken.
            LabError: What `predict` raises.
        """
        kernels = [self._kernels_of(sha256) for sha256 in programs]
        measured: dict[str, LatencyEstimate] = {}
        if programs and mode is not QueryMode.PREDICTED:
            measured = self._measured(target_id, programs, spec)
        if mode is QueryMode.MEASURED:
            for sha256 in programs:
                if sha256 not in measured:
                    raise NotFound(
                        f"program {sha256[:12]} was not measured on target {target_id}: measure"
                        " it, or take predictions too"
                    )
        unmeasured = [sha256 for sha256 in programs if sha256 not in measured]
        by_program = dict(zip(programs, kernels, strict=True))
        wanted = networks.and_of([by_program[sha256] for sha256 in unmeasured])
        predicted: Sequence[LatencyEstimate] = ()
        if len(wanted.lengths) or not programs:
            predicted = predict(wanted.table, wanted.lengths, wanted.indices)
        count = len(networks.lengths)
        estimates = measured | dict(zip(unmeasured, predicted[count:], strict=True))
        return [*predicted[:count], *(estimates[sha256] for sha256 in programs)], set(measured)

    def _measured(
        self, target_id: str, programs: Sequence[str], spec: BenchmarkSpec | None
    ) -> dict[str, LatencyEstimate]:
        """Return the latencies of the programs that were measured, by SHA-256."""
        with self._database.reading() as connection:
            ids = newest_measurements(connection, target_id, programs, spec)
        steadying_of = functools.cache(functools.partial(known_steadying, self._predictors))
        try:
            found = look_up(self._database, list(ids.values()), steadying_of)
            return dict(zip(ids, found, strict=True))
        except UnreadableRow:  # one is damaged: the others are of use
            estimates = {}
            for sha256, measurement_id in ids.items():
                try:
                    [estimates[sha256]] = look_up(self._database, [measurement_id], steadying_of)
                except UnreadableRow:
                    continue
            return estimates


def is_wider(estimate: LatencyEstimate, half_width: float) -> bool:
    """Return whether half of the interval's width exceeds a share of the latency."""
    width_ns = estimate.upper_ns - estimate.lower_ns
    return width_ns / 2 > half_width * estimate.latency_ns
