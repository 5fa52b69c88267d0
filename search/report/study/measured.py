"""The conditions that measurements were taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from latlab.domain.measurement import Conditions, Measurement
from latlab.domain.target import Target


def described_conditions(target: Target, measurements: Sequence[Measurement]) -> dict[str, str]:
    """Return the conditions of measurements on one target, label to text.

    What the device does not report is left out.
    """
    visits = [visit for measurement in measurements for visit in measurement.visits]
    states = [state for visit in visits for state in (visit.before, visit.after)]
    first, last = (
        datetime.fromtimestamp(unix_ns / 1e9) for unix_ns in _ends(m.unix_ns for m in measurements)
    )
    last_form = "%H:%M" if first.date() == last.date() else "%Y-%m-%d %H:%M"
    heat_unknown = any(measurement.heat_unknown for measurement in measurements)
    throttled = sum(bool(visit.before.throttled or visit.after.throttled) for visit in visits)
    texts = {
        "device": f"{target.device_model}, {target.os_build}",
        "runtime": f"{target.backend}, {target.runtime_version}",
        "threads": f"{target.threads} on the cores “{target.core_class}”",
        "measured": f"{first:%Y-%m-%d %H:%M} to {last:{last_form}}",
        "visits": _visits(measurements),
        "temperature": _range(states, lambda state: state.temperature_c, "{:.0f}", " °C"),
        "clock": _range(states, lambda s: s.clock_khz and s.clock_khz / 1e6, "{:.2f}", " GHz"),
        "governor": ", ".join(sorted({s.governor for s in states if s.governor})),
        "battery": _range(states, lambda s: s.battery_level, "{:.0%}", ""),
        "load of the machine": _range(states, lambda state: state.load_1min, "{:.1f}", ""),
        "throttled visits": f"{throttled} of {len(visits)}" if throttled else "",
        "heat": "unknown: the device did not report it" if heat_unknown else "",
    }
    return {label: text for label, text in texts.items() if text}


def _visits(measurements: Sequence[Measurement]) -> str:
    """Return how many visits and runs each measurement has."""
    untraced = [[v for v in each.visits if not v.traced] for each in measurements]
    visits = _span([f"{n}" for n in _ends(len(each) for each in untraced)])
    runs = _span([f"{n:,}" for n in _ends(sum(len(v.wall_ns) for v in each) for each in untraced)])
    return f"{visits} short visits with {runs} timed runs for each network"


def _range(
    states: Iterable[Conditions],
    value: Callable[[Conditions], float | None],
    form: str,
    unit: str,
) -> str:
    """Return the smallest and the largest value; "" if no state has one."""
    known = [each for state in states if (each := value(state)) is not None]
    return _span([form.format(each) for each in _ends(known)]) + unit if known else ""


def _ends(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _span(ends: Sequence[str]) -> str:
    """Return one text for two ends that read alike, else "low to high"."""
    low, high = ends
    return low if low == high else f"{low} to {high}"
