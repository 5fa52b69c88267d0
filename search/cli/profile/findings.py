"""Findings of a profile, as `latlab profile` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from latlab.domain.target import Target
from latlab.profiling.findings import Finding, Processor
from latlab.profiling.profile import Profile
from search.cli.profile.tables import span_text
from search.cli.session import Session

_PLACES = 3  # places in the code that a finding names


def processor_of(opened: Session, target: Target) -> Processor:
    """Return what is known of a target's processor: the default where no device is connected."""
    for status in opened.client.devices():
        if status.device is not None and target.name in status.targets:
            return Processor.of_abi(status.device.abi)
    return Processor()


def findings_text(profile: Profile, found: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines that say why a network is slow, worst first."""
    yield "Findings, worst first:" if found else "Findings: none."
    for number, finding in enumerate(found, start=1):
        share = profile.share(finding.cost.time_ns)
        yield f"{number}. {span_text(finding.cost)}, {share:.1%}: {finding.what}"
        where = _places(profile, finding)
        yield f"   {finding.remedy}{f' See {where}.' if where else ''}"


def findings_document(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as values that JSON can hold. Times are in ns."""
    return [asdict(finding) | {"kind": finding.kind.value} for finding in found]


def _places(profile: Profile, finding: Finding) -> str:
    """Return where in the network's code a finding is, as in "a.py:1, a.py:2 and 4 more"."""
    sources = (profile.rows[place].source for place in finding.rows)
    names = [str(source) for source in sources if source is not None]
    distinct = list(dict.fromkeys(filter(None, names)))
    more = len(distinct) - _PLACES
    return ", ".join(distinct[:_PLACES]) + (f" and {more} more" if more > 0 else "")
