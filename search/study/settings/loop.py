"""The settings of how far to search and how much to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoopSettings:
    """The extent of a search and of its measurements. A resumed study may have others.

    The limits on measurements are spread over the rounds, for the best candidates come late.

    Attributes:
        rounds: Number of rounds of searching, including those of a resumed study.
        max_measured_share: Share of all candidates that may be measured. Failed and disturbed
            measurements count as well.
        final_share: Share of these measurements that is kept for the front at the end. Half as
            many are kept while the predictions are less certain than they say.
        max_measurements: Number of measurements in all, including failed ones. None stands for
            no such limit.
        max_device_minutes: Minutes for which the measurements that the study rests on may have
            kept the device, including measurements that the lab held already. It is checked
            before measuring, at the mean cost so far, so the last measurements may exceed it.
            None stands for no such limit.
        repeat_share: Number of further accuracy evaluations, as a share of the candidates, that
            the ones near the front get at the end, with other seeds. It has no effect where
            accuracies do not depend on a seed.
        overlaps: Whether a round's candidates are measured while the next round's are evaluated.
            The strategy is then told their predicted latencies, and the measurements are rounds
            of their own. A study may have rounds of both kinds.

    Raises:
        ValueError: A value is out of its range.
    """

    rounds: int = 4
    max_measured_share: float = 1 / 3
    final_share: float = 1 / 2
    max_measurements: int | None = None
    max_device_minutes: float | None = None
    repeat_share: float = 1 / 4
    overlaps: bool = False

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"a search needs at least one round, not {self.rounds}")
        for name in ("max_measured_share", "final_share", "repeat_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, not {getattr(self, name)}")
        for name in ("max_measurements", "max_device_minutes"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
