"""The part of `lab.toml` that says how much of the lab each owner of tokens may use.

[limits]                      # of each owner; what is not named has no limit
calls_per_s = 50
open_jobs = 1000
upload_mb_per_day = 10000
device_minutes_per_day = 600

[limits.owners.ci]            # of one owner, in place of those above
device_minutes_per_day = 60

The owner of the lab itself, `local`, has no limits but those of `[limits.owners.local]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import NewType

from cattrs import Converter

from latlab.domain.access.limits import NO_LIMITS, Limits, OwnerLimits
from latlab.domain.access.owner import check_owner

_Amount = NewType("_Amount", float)
_Owner = NewType("_Owner", str)


@dataclass(frozen=True)
class _OwnerDocument:
    """Limits as the file names them; None for those that it does not."""

    calls_per_s: _Amount | None = None
    open_jobs: _Amount | None = None
    upload_mb_per_day: _Amount | None = None
    device_minutes_per_day: _Amount | None = None


@dataclass(frozen=True)
class LimitsDocument(_OwnerDocument):
    """The table `limits` as it is written."""

    owners: dict[_Owner, _OwnerDocument] = field(default_factory=dict)


def owner_limits(document: LimitsDocument) -> OwnerLimits:
    """Return the limits that the table names."""
    default = OwnerLimits(_changed(NO_LIMITS, document))
    by_owner = {
        str(name): _changed(default.of(name), owner) for name, owner in document.owners.items()
    }
    return replace(default, by_owner=by_owner)


def add_limit_hooks(converter: Converter) -> None:
    """Let a converter read LimitsDocument."""
    converter.register_structure_hook(_Amount, lambda value, _: _amount(value))
    converter.register_structure_hook(_Owner, lambda value, _: check_owner(str(value)))


def _changed(limits: Limits, document: _OwnerDocument) -> Limits:
    given = {each.name: getattr(document, each.name) for each in fields(limits)}
    return replace(limits, **{name: value for name, value in given.items() if value is not None})


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"must be a number above 0, not {value!r}")
    return float(value)
