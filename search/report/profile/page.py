"""The page of a profile: where the time goes, as a map, as bars and as findings."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from latlab.domain.estimate import milliseconds_text
from latlab.profiling.findings.finding import Finding
from latlab.profiling.profile import Place, Profile, ProfileRow, Span
from search.report.drawing.html import render
from search.report.profile import treemap, words
from search.report.profile.kinds import Kind, colors, filter_text, kinds
from search.report.profile.tree import has_modules

# In pixels: the room that a figure has in a wide window, and in one of 400 px.
WIDE, NARROW = (1088, 480), (346, 500)


@dataclass(frozen=True)
class Bar:
    """A bar with its interval, in percent of the room for bars."""

    width: float
    lower: float
    upper: float

    @classmethod
    def of(cls, span: Span | ProfileRow, longest_ns: float) -> Bar:
        """Return the bar of a time, where `longest_ns` fills the room."""
        return cls(
            *(
                round(min(max(100 * time_ns / longest_ns, 0.0), 100.0), 2)
                for time_ns in (span.time_ns, span.lower_ns, span.upper_ns)
            )
        )


@dataclass(frozen=True)
class Line:
    """A line of the table of kernels.

    Attributes:
        row: The kernel.
        name: The backend's name for it; "" where it is not known.
        kind: Its kind with its precision.
        color: The CSS class of its kind's colour.
        details: What it computes.
        place: Where it runs.
        module: Its module, for people.
        module_filter: Its module's path; None where it is not known.
        module_type: Its module's class.
        line: Its source line; "" where it is not known.
        bar: Its bar.
    """

    row: ProfileRow
    name: str
    kind: str
    color: str
    details: str
    place: str
    module: str
    module_filter: str | None
    module_type: str
    line: str
    bar: Bar


@dataclass(frozen=True)
class ShownFinding:
    """A finding with the numbers of its kernels in the table, from 1."""

    finding: Finding
    numbers: Sequence[int]


def page(profile: Profile, findings: Sequence[Finding] = ()) -> str:
    """Return a profile as one self-contained HTML page.

    The page loads nothing and runs one script, the one that filters, which its policy names by
    hash. It can be read without scripts.

    Args:
        profile: The profile.
        findings: What makes the network slow, worst first.
    """
    script = render("profile.js")
    digits = words.decimals(profile)
    return str(
        render(
            "profile.html",
            title=words.short(profile.network),
            target=words.short(profile.target),
            profile=profile,
            text=_Texts(profile, digits),
            digits=digits,
            rounded=milliseconds_text,
            rounded_interval=words.rounded_interval,
            tiles=_footprint(profile),
            findings=[_shown(each, profile) for each in findings],
            kinds=kinds(profile),
            kind_filters={each.name: filter_text("kind", each.name) for each in kinds(profile)},
            lines=_lines(profile),
            kernels_ns=sum(row.time_ns for row in profile.rows),
            rest_ns=profile.rest_ns,
            would_take=profile.is_predicted and profile.rest is None,
            sentence=words.sentence,
            outside=_outside(profile),
            by_module=has_modules(profile),
            maps=[treemap.draw(profile, *each) for each in (WIDE, NARROW)] if profile.rows else [],
            script=script,
            script_hash=_hash(script),
        )
    )


class _Texts:
    """Times of one profile as texts, for its template: aligned ones for the table."""

    def __init__(self, profile: Profile, digits: int) -> None:
        self._profile = profile
        self._digits = digits

    def ms(self, time_ns: float) -> str:
        return words.milliseconds(time_ns, self._digits)

    def interval(self, span: Span | ProfileRow) -> str:
        return words.interval(span, self._digits)

    def share(self, time_ns: float) -> str:
        return words.percent(self._profile, time_ns)


def _lines(profile: Profile) -> list[Line]:
    color_of = colors(profile)
    longest_ns = max((row.upper_ns for row in profile.rows), default=0.0)
    return [
        Line(
            row,
            words.short(row.name),
            words.kind(row),
            color_of[words.kind(row)],
            words.details(row.kernel),
            row.place.value,
            words.module(row),
            words.module_filter(row),
            words.short(row.source.module_type) if row.source else "",
            words.line(row),
            Bar.of(row, max(longest_ns, row.time_ns, 1.0)),
        )
        for row in profile.rows
    ]


def _outside(profile: Profile) -> Kind:
    """Return what runs outside the delegate, as one kind."""
    times_ns = [row.time_ns for row in profile.rows if row.place is Place.PORTABLE]
    return Kind("outside the delegate", "", len(times_ns), sum(times_ns))


def _shown(finding: Finding, profile: Profile) -> ShownFinding:
    """Return a finding with the rows that the table has."""
    known = [index + 1 for index in finding.rows if 0 <= index < len(profile.rows)]
    return ShownFinding(finding, known)


def _footprint(profile: Profile) -> Mapping[str, str]:
    """Return what a program costs beside its latency: text by label, only what is known."""
    footprint = profile.footprint
    shown = {"program size": words.size(footprint.size_bytes)}
    if footprint.load_ns is not None:
        shown["to load"] = f"{milliseconds_text(footprint.load_ns)} ms"
    if footprint.first_run_ns is not None:
        shown["first inference"] = f"{milliseconds_text(footprint.first_run_ns)} ms"
    if footprint.peak_rss_bytes is not None:
        shown["peak memory"] = words.size(footprint.peak_rss_bytes)
    if footprint.planned_bytes is not None:
        shown["planned memory"] = words.size(footprint.planned_bytes)
    return shown


def _hash(script: str) -> str:
    """Return a script's SHA-256 as a Content Security Policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
