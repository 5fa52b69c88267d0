"""A profile as a document for scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from latlab.profiling.differences import change, differences
from latlab.profiling.profile import Profile, ProfileRow

VERSION = 1  # rises when a field changes its meaning or goes


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return a profile as values that JSON can hold. Times are in ns, sizes in bytes."""
    return asdict(profile) | {
        "version": VERSION,
        "rows": [_row(profile, row) for row in profile.rows],
    }


def comparison_document(first: Profile, second: Profile) -> dict[str, Any]:
    """Return two profiles and their differences, the largest first, as values for JSON.

    A difference names the kernel of each profile by its place in the profile's rows, from 0.
    """
    places = [{id(row): place for place, row in enumerate(each.rows)} for each in (first, second)]
    return {
        "version": VERSION,
        "first": profile_document(first),
        "second": profile_document(second),
        "change": asdict(change(first.latency, second.latency)),
        "differences": [
            {
                "first": places[0].get(id(each.first)),
                "second": places[1].get(id(each.second)),
                "change": asdict(each.change),
            }
            for each in differences(first.rows, second.rows)
        ],
    }


def _row(profile: Profile, row: ProfileRow) -> dict[str, Any]:
    return asdict(row) | {
        "text": str(row.kernel),
        "place": row.place.value,
        "share": profile.share(row.time_ns),
    }
