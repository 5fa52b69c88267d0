"""Store the refits of each target's predictor, the newest KEPT of them."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Row, func, select

from host.database.raw import columns, noun, parse, reading
from host.database.schema import refits
from latlab.domain.errors import UnreadableRow
from latlab.domain.estimate import PredictionScore, Refit

log = logging.getLogger(__name__)

KEPT = 1_000  # for each target

_SCORE_FIELDS = ("networks", "guessed", "mean_error", "within_5pct", "inside_interval")


def add_refit(connection: Connection, target_id: str, refit: Refit) -> None:
    """Store a refit of the target. Its oldest refits are dropped if there are more than KEPT."""
    connection.execute(
        refits.insert().values(
            target_id=target_id,
            unix_ns=refit.unix_ns,
            measurements=refit.measurements,
            fit_s=refit.fit_s,
            predictor=refit.predictor,
            fingerprint=refit.fingerprint,
            versions=dict(refit.versions),
            **{f"score_{name}": getattr(refit.score, name, None) for name in _SCORE_FIELDS},
        )
    )
    oldest_kept = (
        select(refits.c.id)
        .where(refits.c.target_id == target_id)
        .order_by(refits.c.id.desc())
        .offset(KEPT - 1)
        .limit(1)
        .scalar_subquery()
    )
    # Without KEPT rows the subquery is null, and no id is below null.
    connection.execute(
        refits.delete().where(refits.c.target_id == target_id, refits.c.id < oldest_kept)
    )


def stored_refits(connection: Connection, target_id: str) -> list[Refit]:
    """Return the stored refits of the target, the oldest first.

    A row that is damaged is logged and left out.
    """
    query = select(*columns(refits)).where(refits.c.target_id == target_id).order_by(refits.c.id)
    found = []
    for row in connection.execute(query):
        try:
            found.append(_refit(row))
        except UnreadableRow as error:
            log.warning("a refit of target %s is left out: %s", target_id, error)
    return found


def newest_scores(connection: Connection) -> dict[str, PredictionScore]:
    """Return each target's score of its newest refit that has one. Damaged rows are left out."""
    newest = (
        select(func.max(refits.c.id))
        .where(refits.c.score_networks.is_not(None))
        .group_by(refits.c.target_id)
    )
    found = {}
    for row in connection.execute(select(*columns(refits)).where(refits.c.id.in_(newest))):
        try:
            score = _refit(row).score
        except UnreadableRow as error:
            log.warning("a refit of target %s is left out: %s", row.target_id, error)
            continue
        if score is not None:
            found[str(row.target_id)] = score
    return found


def _refit(row: Row[Any]) -> Refit:
    """Read a refit. Raises UnreadableRow."""
    with reading(f"refit {row.id}"):
        scored = {name: row._mapping[f"score_{name}"] for name in _SCORE_FIELDS}
        return Refit(
            unix_ns=int(row.unix_ns),
            measurements=int(row.measurements),
            fit_s=float(row.fit_s),
            predictor=str(row.predictor),
            fingerprint=str(row.fingerprint),
            versions={str(name): str(version) for name, version in parse(row.versions).items()},
            score=None if scored["networks"] is None else noun(PredictionScore, scored),
        )
