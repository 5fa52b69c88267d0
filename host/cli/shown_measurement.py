"""One stored measurement as texts and tables: its facts, visits, samples and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from rich.table import Column, Table

from host.cli.console import milliseconds
from host.cli.footprints import FOOTPRINT_COLUMNS, footprint_cells
from host.measuring.kernel_times import fastest_traces
from host.measuring.statistics import clean_samples, visit_latency_ns
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import TraceMismatch
from latlab.domain.measurement import Conditions, Measurement, StoredMeasurement, footprint_of

PLOT_COLUMNS = 40
SLOWEST_KERNELS = 20
_BARS = " ▁▂▃▄▅▆▇█"


def facts(stored: StoredMeasurement, whole: Measurement | None) -> list[tuple[str, str]]:
    """Return what is known about a measurement as labels and texts.

    Args:
        stored: The measurement as a list shows it.
        whole: The measurement with its visits; None if they cannot be read.
    """
    known = [
        ("Measurement", stored.id),
        ("Taken", time_text(stored.unix_ns)),
        ("Target", f"{stored.target} ({stored.target_id})"),
        ("Program", stored.program_sha256),
    ]
    if stored.latency_ns is not None:
        known.append(("Latency", f"{milliseconds(stored.latency_ns)}, 90 % {interval(stored)}"))
    if stored.raw is not None:
        quantiles = stored.raw.quantiles_text
        known.append(("All runs", f"median, p90 and p99 of {stored.raw.runs}: {quantiles}"))
        known.append(("Clean visits", stored.raw.visits_text))
    if whole is not None:
        known += _facts_of_visits(whole, stored.program_bytes)
    if stored.unusable:
        known.append(("Unusable", stored.unusable))
    if stored.suspect:
        known.append(("Suspect", "the sentinel had drifted when it was taken"))
    if stored.is_sentinel:
        known.append(("Sentinel", "the lab's own, held against its baseline"))
    if stored.untraced:
        known.append(("Kernel times", "none: the trace does not match the program's kernels"))
    if (exclusion := stored.exclusion) is not None:
        known.append(("Excluded", f"{time_text(exclusion.unix_ns)}, {exclusion.why}"))
    for failure in stored.failed_visits:
        known.append(("Failed visit", f"{failure.kind.value}: {failure.message}"))
    return known


def interval(stored: StoredMeasurement) -> str:
    """Return the 90 % interval of the latency as a text; "" if there is none."""
    if stored.lower_ns is None or stored.upper_ns is None:
        return ""
    return f"{milliseconds(stored.lower_ns)} to {milliseconds(stored.upper_ns)}"


def time_text(unix_ns: int) -> str:
    """Return a time as local date and time."""
    return f"{datetime.fromtimestamp(unix_ns / 1e9):%Y-%m-%d %H:%M:%S}"


def visits_table(measurement: Measurement) -> Table:
    """Return a table of visits with their conditions. The quantiles include disturbed samples."""
    columns = ("no.", "visit", "latency", "p50", "p90", "p99", "clean", "before", "after")
    table = Table(*columns, title="Visits")
    for number, visit in enumerate(measurement.visits, 1):
        latency_ns = visit_latency_ns(visit)
        table.add_row(
            str(number),
            "traced" if visit.traced else "untraced",
            _latency_text(latency_ns, measurement),
            *_quantiles(visit.wall_ns),
            f"{clean_samples(visit).mean():.0%}" if visit.wall_ns else "",
            _conditions(visit.before),
            _conditions(visit.after, visit.before),
        )
    return table


def _latency_text(latency_ns: float | None, measurement: Measurement) -> str:
    if measurement.samples_removed_unix_ns is not None:
        return "removed"
    return "disturbed" if latency_ns is None else milliseconds(latency_ns)


def plot_table(measurement: Measurement) -> Table:
    """Return a histogram of the samples of each visit, all on one axis.

    The axis begins at the fastest sample and ends at the p99 of all samples. The slowest samples
    are counted in the last column. Each histogram is as high as its own highest column.
    """
    samples_ns = [np.asarray(visit.wall_ns, np.float64) for visit in measurement.visits]
    low_ns, high_ns = 0.0, 0.0
    if runs_ns := [each for each in samples_ns if each.size]:
        low_ns, high_ns = np.quantile(np.concatenate(runs_ns), (0, 0.99)).tolist()
    axis = f"{milliseconds(low_ns)} to {milliseconds(high_ns)} and more"
    table = Table("no.", Column(axis, no_wrap=True), title="Samples")
    for number, each_ns in enumerate(samples_ns, 1):
        table.add_row(str(number), histogram(each_ns.tolist(), low_ns, high_ns))
    return table


def histogram(samples_ns: Sequence[float], low_ns: float, high_ns: float) -> str:
    """Return how often samples fall into each of PLOT_COLUMNS parts of a range, as bars.

    The bars are one character high. Samples beyond the range count in its first or last part.
    """
    width_ns = (high_ns - low_ns) / PLOT_COLUMNS or 1.0
    columns = np.floor((np.asarray(samples_ns, np.float64) - low_ns) / width_ns)
    columns = np.clip(columns, 0, PLOT_COLUMNS - 1).astype(np.int64)
    counts = np.bincount(columns, minlength=PLOT_COLUMNS)
    heights = np.ceil((len(_BARS) - 1) * counts / max(1, counts.max())).astype(np.int64)
    return "".join(_BARS[height] for height in heights)


def kernels_table(measurement: Measurement, every: bool) -> Table:
    """Return a table of the kernels' mean times over the fastest quarter of the traced runs.

    Args:
        measurement: The measurement.
        every: Whether to list all kernels in the order in which they run, and not the slowest.
    """
    table = Table("no.", "kernel", "time", "share", title="Kernels")
    try:
        found = fastest_traces(measurement.visits)
    except TraceMismatch as error:
        table.caption = f"no times: {error}"
        return table
    if found is None or not found[1].size:
        removed_unix_ns = measurement.traces_removed_unix_ns
        removed = "" if removed_unix_ns is None else f"times {_removed_text(removed_unix_ns)}"
        table.caption = removed or "none: no run was traced"
        return table
    names, means_ns = found[0], found[1].mean(axis=1)
    total_ns = max(1.0, float(means_ns.sum()))
    order = np.arange(len(names)) if every else np.argsort(-means_ns, kind="stable")
    shown = order if every else order[:SLOWEST_KERNELS]
    for index in shown.tolist():
        mean_ns = float(means_ns[index])
        table.add_row(
            str(index + 1), names[index], milliseconds(mean_ns), f"{mean_ns / total_ns:.1%}"
        )
    if len(shown) < len(names):
        others_ns = float(means_ns[order[len(shown) :]].sum())
        table.caption = (
            f"{len(names) - len(shown)} other kernels take {milliseconds(others_ns)}:"
            " use --all to show them"
        )
    return table


def _facts_of_visits(whole: Measurement, program_bytes: int) -> list[tuple[str, str]]:
    known = [("Asked for", _spec_text(whole.spec))]
    cells = footprint_cells(footprint_of(whole.visits, program_bytes))
    for label, text in zip(FOOTPRINT_COLUMNS, cells, strict=True):
        if text:
            known.append((label.capitalize(), text))
    if (removed_unix_ns := whole.samples_removed_unix_ns) is not None:
        known.append(("Samples", _removed_text(removed_unix_ns)))
    elif (removed_unix_ns := whole.traces_removed_unix_ns) is not None:
        known.append(("Kernels' samples", _removed_text(removed_unix_ns)))
    if whole.heat_unknown:
        known.append(("Heat", "unknown: the device did not report it"))
    return known


def _removed_text(unix_ns: int) -> str:
    return f"removed on {time_text(unix_ns)} by `latlab db compact`; what they gave is kept"


def _spec_text(spec: BenchmarkSpec) -> str:
    until = f"they agree to ±{spec.tolerance:.2%}"
    if spec.half_width:
        until = f"their interval is ±{spec.half_width:.2%}"
    return (
        f"{spec.min_visits} to {spec.max_visits} visits, until {until}, and"
        f" {spec.traced_visits} traced ones; each of at least"
        f" {spec.visit.timed_runs} runs and {spec.visit.timed_ns / 1e9:g} s, after"
        f" {spec.visit.warmup_ns / 1e9:g} s of warm-up"
    )


def _quantiles(samples_ns: Sequence[int]) -> list[str]:
    if not samples_ns:
        return ["", "", ""]
    return [milliseconds(float(ns)) for ns in np.quantile(samples_ns, (0.5, 0.9, 0.99))]


def _conditions(now: Conditions, earlier: Conditions | None = None) -> str:
    """Return the conditions in words, with the time that was stolen since earlier ones."""
    parts = []
    if now.temperature_c is not None:
        parts.append(f"{now.temperature_c:.0f} °C")
    if now.clock_khz is not None:
        parts.append(f"{now.clock_khz / 1e3:.0f} MHz")
    if now.governor:
        parts.append(now.governor)
    if now.battery_level is not None:
        parts.append(f"battery {now.battery_level:.0%}")
    if now.load_1min is not None:
        parts.append(f"load {now.load_1min:.2f}")
    if now.arithmetic_probe_ns is not None:
        parts.append(f"arithmetic probe {milliseconds(now.arithmetic_probe_ns)}")
    if now.memory_probe_ns is not None:
        parts.append(f"memory probe {milliseconds(now.memory_probe_ns)}")
    if earlier is not None and now.steal_ns is not None and earlier.steal_ns is not None:
        parts.append(f"stolen {milliseconds(now.steal_ns - earlier.steal_ns)}")
    if now.throttled:
        parts.append("throttled")
    return ", ".join(parts)
