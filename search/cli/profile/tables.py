"""Tables of profiles: kernels, groups of kernels, and the differences of two profiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Column, Table

from host.cli.console import console, milliseconds, signed_text, words
from host.cli.footprints import FOOTPRINT_COLUMNS, footprint_cells
from latlab.domain.estimate import Footprint, milliseconds_text
from latlab.profiling.differences import (
    Difference,
    change,
    differences,
    group_differences,
)
from latlab.profiling.groups import Grouping, groups, module_depth
from latlab.profiling.kernel_text import kernel_text
from latlab.profiling.profile import Place, Profile, ProfileRow, Span

SLOWEST = 20  # kernels that a table shows unless it is asked for all
_PATH_CHARS = 24
# How wide a screen must be for the columns that say where a kernel comes from. On a narrower one
# they would leave too little room for the kernels.
_COLUMNS_FOR = {"module": 72, "line": 100}
_LABEL_CHARS = 20  # of the columns of two profiles
REST = "rest: outside all kernels"
FIXED = "rest: fixed time of a run"


@dataclass(frozen=True, slots=True)
class View:
    """How a profile is shown.

    Attributes:
        grouping: What groups of kernels have in common; None for single kernels.
        every: Whether to show all rows, and modules by their whole paths.
    """

    grouping: Grouping | None = None
    every: bool = False


def profile_table(profile: Profile, view: View) -> Table:
    """Return the table of one profile: its kernels or groups, the rest, and the latency."""
    if view.grouping is None:
        return _kernels_table(profile, view)
    return _groups_table(profile, view.grouping, view)


def differences_table(first: Profile, second: Profile, names: Sequence[str], view: View) -> Table:
    """Return the table of two profiles side by side, the largest change first.

    Args:
        first: One profile.
        second: Another one.
        names: What the columns of the two are called.
        view: How they are shown.
    """
    names = [_shortened(name, _LABEL_CHARS) for name in names]
    if view.grouping is None:
        return _kernel_differences(first, second, names, view)
    return _group_differences(first, second, names, view)


def fact(profile: Profile) -> str:
    """Return the line that stands above a profile's table."""
    verb = "would take" if profile.rest is None and profile.is_predicted else "takes"
    return f"{profile.network} {verb} {span_text(profile.latency)} on {profile.target}."


def footnotes(profile: Profile) -> Iterator[str]:
    """Yield the lines that stand below a profile's table."""
    if profile.rest is not None and profile.tracing is not None:
        yield f"Rest: {span_text(profile.rest)}."
        yield f"Tracing adds {span_text(profile.tracing)}, which is not part of the latency."
    yield _footprint_text(profile.footprint)
    for note in profile.notes:
        yield f"Note: {note}."


def span_text(span: Span) -> str:
    """Return a time with its 90 % interval, as in "10.2 ms (90 % interval 10.0 to 10.4 ms)"."""
    bounds = f"{milliseconds_text(span.lower_ns)} to {milliseconds(span.upper_ns)}"
    return f"{milliseconds(span.time_ns)} (90 % interval {bounds})"


def _kernels_table(profile: Profile, view: View) -> Table:
    rows = profile.rows
    places = {row.place for row in rows}
    located = any(row.source is not None for row in rows)
    sources = [header for header in _COLUMNS_FOR if located and _has_room_for(header)]
    table = _table("no.", "kernel", "time", "share")
    for header in ["where"] * (len(places) > 1) + sources:
        table.add_column(header)
    slowest = sorted(range(len(rows)), key=lambda number: -rows[number].time_ns)
    shown = set(slowest if view.every else slowest[:SLOWEST])
    for number in sorted(shown):
        row = rows[number]
        table.add_row(
            str(number + 1),
            kernel_text(row.kernel),
            *_time_cells(profile, row.time_ns),
            *([row.place.value] if len(places) > 1 else []),
            *_source_cells(row)[: len(sources)],
        )
    _add_totals(table, profile, [row for i, row in enumerate(rows) if i not in shown])
    captions = ["All kernels run in the delegate."] * (places == {Place.DELEGATE})
    if located and len(sources) < len(_COLUMNS_FOR):
        captions.append(
            f"A screen of {max(_COLUMNS_FOR.values())} columns shows modules and lines."
        )
    table.caption = " ".join(captions) or None
    return table


def _has_room_for(header: str) -> bool:
    return console.width >= _COLUMNS_FOR[header]


def _groups_table(profile: Profile, grouping: Grouping, view: View) -> Table:
    table = _table("kernels", grouping.value, "time", "share")
    found = groups(profile.rows, grouping, None if view.every else module_depth(profile.rows))
    shown = found if view.every else found[:SLOWEST]
    for group in shown:
        count = str(len(group.rows))
        table.add_row(count, group.name, *_time_cells(profile, group.time_ns))
    _add_totals(table, profile, [row for group in found[len(shown) :] for row in group.rows])
    return table


def _add_totals(table: Table, profile: Profile, others: Sequence[ProfileRow]) -> None:
    """Add the rows of the kernels that are not shown, of the rest, and of the whole latency."""
    if others:
        name = words((f"{len(others)} others (--all shows them)", "dim"))
        table.add_row("", name, *_time_cells(profile, sum(row.time_ns for row in others)))
    table.add_section()
    if profile.rows or profile.rest is not None:
        name = words(FIXED if profile.rest is None else REST)
        table.add_row("", name, *_time_cells(profile, profile.rest_ns))
    table.add_row("", words(("latency", "bold")), *_time_cells(profile, profile.latency.time_ns))


def _kernel_differences(first: Profile, second: Profile, names: Sequence[str], view: View) -> Table:
    found = differences(first.rows, second.rows)
    located = any(row.source for row in (*first.rows, *second.rows))
    sources = located and _has_room_for("line")
    table = _table("kernel", *names, "change", "90 % interval")
    if sources:
        table.add_column("module")
    shown = found if view.every else found[:SLOWEST]
    for each in shown:
        table.add_row(
            each.text,
            *(milliseconds(row.time_ns) if row else "" for row in (each.first, each.second)),
            *_change_cells(each.change),
            *([_module_cell(each)] if sources else []),
        )
    _add_other_differences(table, found[len(shown) :])
    _add_difference_totals(table, first, second)
    return table


def _group_differences(first: Profile, second: Profile, names: Sequence[str], view: View) -> Table:
    grouping = view.grouping or Grouping.KIND
    depth = None if view.every else module_depth((*first.rows, *second.rows))
    found = group_differences(first, second, grouping, depth)
    table = _table(grouping.value, *names, "change")
    for each in found if view.every else found[:SLOWEST]:
        times_ns = each.first_ns, each.second_ns
        cells = map(milliseconds, times_ns)
        table.add_row(each.name, *cells, f"{signed_text(each.change_ns)} ms")
    _add_difference_totals(table, first, second)
    return table


def _add_other_differences(table: Table, others: Sequence[Difference]) -> None:
    if not others:
        return
    name = words((f"{len(others)} others (--all shows them)", "dim"))
    times_ns = [
        sum(row.time_ns for row in rows if row)
        for rows in ([each.first for each in others], [each.second for each in others])
    ]
    total = f"{signed_text(times_ns[1] - times_ns[0])} ms"
    table.add_row(name, *map(milliseconds, times_ns), total, "")


def _add_difference_totals(table: Table, first: Profile, second: Profile) -> None:
    table.add_section()
    rests_ns = first.rest_ns, second.rest_ns
    table.add_row(
        REST,
        *map(milliseconds, rests_ns),
        f"{signed_text(rests_ns[1] - rests_ns[0])} ms",
    )
    table.add_row(
        words(("latency", "bold")),
        *(milliseconds(profile.latency.time_ns) for profile in (first, second)),
        *_change_cells(change(first.latency, second.latency))[: len(table.columns) - 3],
    )


def _module_cell(each: Difference) -> str:
    row = each.second or each.first
    return _shortened(row.source.module) if row is not None and row.source is not None else ""


def _change_cells(span: Span) -> tuple[str, str]:
    bounds = f"{signed_text(span.lower_ns)} to {signed_text(span.upper_ns)}"
    return f"{signed_text(span.time_ns)} ms", bounds


def _table(*headers: str) -> Table:
    """Return a table whose columns of numbers are aligned on the right."""
    texts = ("kernel", "module", "kind", "line")
    return Table(*(Column(h, justify="left" if h in texts else "right") for h in headers))


def _time_cells(profile: Profile, time_ns: float) -> tuple[str, str]:
    return milliseconds(time_ns), f"{profile.share(time_ns):.1%}"


def _source_cells(row: ProfileRow) -> tuple[str, str]:
    if row.source is None:
        return "", ""
    name = row.source.file.rpartition("/")[2]  # the JSON has the whole path
    return _shortened(row.source.module), f"{_shortened(name)}:{row.source.line}" if name else ""


def _shortened(path: str, chars: int = _PATH_CHARS) -> str:
    """Return the end of a path that is too long for a table, which says more than its beginning."""
    return path if len(path) <= chars else f"…{path[1 - chars :]}"


def _footprint_text(footprint: Footprint) -> str:
    """Return what a program costs beside its latency, as one line."""
    cells = zip(FOOTPRINT_COLUMNS, footprint_cells(footprint), strict=True)
    text = ", ".join(f"{name} {cell}" for name, cell in cells if cell)
    return f"{text[0].upper()}{text[1:]}."
