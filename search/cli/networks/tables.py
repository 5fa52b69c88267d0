"""Tables of networks and their latencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Column, Table
from rich.text import Text

from host.cli.console import RAW_COLUMNS, milliseconds, raw_cells, words
from host.cli.footprints import FOOTPRINT_COLUMNS, FOOTPRINT_REMARK, footprint_cells
from latlab.domain.estimate import HEAT_UNKNOWN, LatencyEstimate
from latlab.domain.failure import Failure
from search.latency.lab import Measured
from search.space.counts import counts
from search.space.deployment import Deployment
from search.space.zoo import ZOO

STEADIED = "steadied: the learned effect of other work on the memory is removed"
QUIET_STATE = "{}, down to the quiet state, a memory probe of {}"
UNTRACED = "no kernel times for some: their traces do not match their kernels"

Outcomes = Sequence[Measured | Failure]


def zoo_table(deployment: Deployment, outcomes: Outcomes) -> Table:
    """Return the table of the zoo, with a column of latencies if there are outcomes."""
    latency = [f"latency{deployment.in_precision}", *RAW_COLUMNS] if outcomes else []
    table = Table("network", "parameters", "multiply-adds", *latency)
    for number, (name, architecture) in enumerate(ZOO.items()):
        total = counts(architecture, deployment=deployment)
        row = [name, f"{total.parameters:,}", f"{total.multiply_adds / 1e6:.1f} M"]
        for outcome in outcomes[number : number + 1]:
            row += _cells(outcome)
        table.add_row(*row)
    table.caption = "\n".join(_of_measurements(outcomes))
    return table


def measurements_table(
    names: Sequence[str], outcomes: Outcomes, remarks: Iterable[str] = ()
) -> Table:
    """Return the table of measured networks, with remarks below it."""
    columns = ("network", "latency", "90 % interval", *RAW_COLUMNS)
    table = Table(*columns, Column("measurement", overflow="fold"))
    table.caption = "\n".join([*_of_measurements(outcomes), *remarks])
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, Failure):
            table.add_row(name, words((outcome.kind.value, "red")), outcome.message)
        else:
            latency = outcome.latency
            cells = (*latency_cells(latency), *raw_cells(latency.raw))
            table.add_row(name, *cells, words((outcome.measurement_id, "dim")))
    return table


def footprints_table(names: Sequence[str], outcomes: Outcomes) -> Table:
    """Return the table of what measured networks cost beside their latency."""
    table = Table("network", *FOOTPRINT_COLUMNS, caption=FOOTPRINT_REMARK)
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, Measured):
            table.add_row(name, *footprint_cells(outcome.footprint))
    return table


def latency_cells(estimate: LatencyEstimate) -> tuple[str, str]:
    """Return a latency and its interval as cells."""
    return interval_cells(estimate.latency_ns, estimate.lower_ns, estimate.upper_ns)


def prediction_cells(estimate: LatencyEstimate) -> tuple[str | Text, ...]:
    """Return a prediction as cells: latency, interval, source and coverage."""
    low = " low" if estimate.extrapolates else ""
    coverage = words(f"{estimate.coverage:.0%}", (low, "yellow"))
    return *latency_cells(estimate), estimate.source.value, coverage


def interval_cells(latency_ns: float, lower_ns: float, upper_ns: float) -> tuple[str, str]:
    """Return a latency and its interval as cells."""
    return milliseconds(latency_ns), f"{milliseconds(lower_ns)} to {milliseconds(upper_ns)}"


def _cells(outcome: Measured | Failure) -> list[str]:
    """Return an outcome as cells of the zoo's table."""
    if isinstance(outcome, Failure):
        return [f"failed: {outcome.message}"]
    return [milliseconds(outcome.latency.latency_ns), *raw_cells(outcome.latency.raw)]


def _of_measurements(outcomes: Outcomes) -> list[str]:
    """Return a remark for each condition that holds for an outcome."""
    measured = [outcome for outcome in outcomes if isinstance(outcome, Measured)]
    remarks = {
        _steadied(measured): any(each.latency.steadied for each in measured),
        HEAT_UNKNOWN: any(each.heat_unknown for each in measured),
        UNTRACED: any(each.untraced for each in measured),
    }
    return [remark for remark, holds in remarks.items() if holds]


def _steadied(measured: Iterable[Measured]) -> str:
    """Return what was removed from latencies, and, if it is one state, what they are now."""
    states_ns = {c.quiet_probe_ns for each in measured if (c := each.latency.correction)}
    if len(states_ns) != 1:
        return STEADIED
    return QUIET_STATE.format(STEADIED, milliseconds(states_ns.pop()))
