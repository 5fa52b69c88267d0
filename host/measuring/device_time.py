"""How long a measurement kept its device."""

from __future__ import annotations

from latlab.domain.measurement import Measurement


def device_time_s(measurement: Measurement) -> float:
    """Return how many seconds the visits of a measurement took, by the device's clock.

    Each visit lasts from the conditions before it to those after it. Failed visits, which are
    not part of the measurement, do not count.
    """
    # The clock may have been set in between.
    longest_ns = measurement.spec.visit.deadline_ns
    elapsed_ns = (visit.after.unix_ns - visit.before.unix_ns for visit in measurement.visits)
    return sum(min(max(ns, 0), longest_ns) for ns in elapsed_ns) / 1e9
