"""A profile as a trace that Perfetto opens: Chrome's JSON trace event format.

The format is documented at https://perfetto.dev/docs/getting-started/other-formats. Perfetto reads
times in µs and keeps them in whole ns, so slices begin and end at whole ns here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from latlab.profiling.profile import Place, Profile, ProfileRow
from search.report.profile import words
from search.report.profile.calls import calls
from search.report.profile.tree import has_modules, module_parts

PROCESS = 1
RUN, CALLS, MODULES, KERNELS = 1, 2, 3, 4  # the tracks, in the order in which they are shown
TRACKS = {RUN: "run", CALLS: "delegate calls and operators", MODULES: "modules", KERNELS: "kernels"}


@dataclass(frozen=True)
class Slice:
    """A slice of a track.

    Attributes:
        track: The track.
        name: What is shown on it.
        begin_ns: When it begins, from the start of the run.
        end_ns: When it ends.
        details: What is shown when it is selected.
    """

    track: int
    name: str
    begin_ns: int
    end_ns: int
    details: dict[str, Any]

    def event(self) -> dict[str, Any]:
        """Return the slice as a complete event."""
        return {
            "ph": "X",
            "pid": PROCESS,
            "tid": self.track,
            "name": self.name,
            "cat": TRACKS[self.track],
            "ts": self.begin_ns / 1000,
            "dur": (self.end_ns - self.begin_ns) / 1000,
            "args": self.details,
        }


def trace(profile: Profile) -> str:
    """Return one representative run of a profile as JSON for ui.perfetto.dev.

    The kernels follow one another in execution order, and the rest, whose place in the run is not
    known, comes last. A kernel whose time is below zero, because of noise, takes no time.
    """
    slices = list(_slices(profile))
    title = f"{words.short(profile.network)} on {words.short(profile.target)}"
    return json.dumps(
        {
            "traceEvents": [
                *_metadata(title, {each.track for each in slices}),
                *(each.event() for each in slices),
            ],
            "displayTimeUnit": "ns",
            "otherData": {
                "network": words.short(profile.network),
                "target": words.short(profile.target),
                "times": "predicted" if profile.is_predicted else "measured",
                "notes": " ".join(map(words.short, profile.notes)),
            },
        },
        indent=1,
    )


def _metadata(title: str, tracks: set[int]) -> Iterator[dict[str, Any]]:
    """Yield the events that name the process and its tracks, and order the tracks."""
    yield _named("process_name", KERNELS, {"name": title})
    for track in sorted(tracks):
        yield _named("thread_name", track, {"name": TRACKS[track]})
        yield _named("thread_sort_index", track, {"sort_index": track})


def _named(name: str, track: int, details: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "pid": PROCESS, "tid": track, "name": name, "args": details}


def _slices(profile: Profile) -> Iterator[Slice]:
    """Yield all slices. One that holds another comes before it, as Perfetto needs it."""
    times_ns = (max(row.time_ns, 0.0) for row in profile.rows)
    ends_ns = [round(end_ns) for end_ns in itertools.accumulate(times_ns, initial=0.0)]
    yield _run(profile)
    yield from _calls(profile, ends_ns)
    if has_modules(profile):
        yield from _modules(profile, ends_ns, range(len(profile.rows)), 0)
    for index, row in enumerate(profile.rows):
        yield _kernel(profile, row, index, ends_ns)
    rest_ns = round(profile.rest_ns)
    if rest_ns > 0:
        about = {"what": "What no kernel accounts for. Its place in the run is not known."}
        yield Slice(KERNELS, "rest", ends_ns[-1], ends_ns[-1] + rest_ns, about)


def _run(profile: Profile) -> Slice:
    latency = profile.latency
    about = {"lower_ms": latency.lower_ns / 1e6, "upper_ms": latency.upper_ns / 1e6}
    end_ns = max(round(latency.time_ns), 0)
    return Slice(RUN, f"one run of {words.short(profile.network)}", 0, end_ns, about)


def _calls(profile: Profile, ends_ns: Sequence[int]) -> Iterator[Slice]:
    """Yield a slice for each instruction of the program, as far as instructions are known."""
    for call in calls(profile):
        first, last = call.rows[0], call.rows[-1]
        is_delegate = call.place is Place.DELEGATE
        number = call.instruction
        name = f"delegate call {number}" if is_delegate else words.kind(profile.rows[first])
        about = {"instruction": number, "kernels": len(call.rows)}
        yield Slice(CALLS, name, ends_ns[first], ends_ns[last + 1], about)


def _modules(
    profile: Profile, ends_ns: Sequence[int], rows: Sequence[int], depth: int
) -> Iterator[Slice]:
    """Yield a slice for each module that some rows, which follow one another, lie in."""

    def part(index: int) -> str | None:
        parts = module_parts(profile.rows[index])
        return parts[depth] if len(parts) > depth else None

    for name, group in itertools.groupby(rows, part):
        if name is None:
            continue
        inside = list(group)
        path = ".".join(module_parts(profile.rows[inside[0]])[: depth + 1])
        about = {"module": path, "kernels": len(inside)}
        yield Slice(MODULES, name, ends_ns[inside[0]], ends_ns[inside[-1] + 1], about)
        yield from _modules(profile, ends_ns, inside, depth + 1)


def _kernel(profile: Profile, row: ProfileRow, index: int, ends_ns: Sequence[int]) -> Slice:
    about = {
        "number": index + 1,
        "computes": words.details(row.kernel),
        "runs in": row.place.value,
        "module": words.module(row),
        "line": words.line(row),
        "backend's name": words.short(row.name),
        "share": words.percent(profile, row.time_ns),
        "lower_ms": row.lower_ns / 1e6,
        "upper_ms": row.upper_ns / 1e6,
    }
    known = {name: value for name, value in about.items() if value != ""}
    return Slice(KERNELS, words.kind(row), ends_ns[index], ends_ns[index + 1], known)
