"""The history of refits, as clients read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.domain.errors import NotFound
from tests.host.fake_lab import TARGET
from tests.host.predicting.test_predictors import until
from tests.host.stored_lab import stored_lab, write_ordinary


def test_clients_read_the_refits_of_a_target(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    write_ordinary(database, tmp_path, count=6)
    with stored_lab(database, tmp_path) as (client, _):
        assert client.refit_history(TARGET.id) == []
        measurements, fit_s = client.refit(TARGET.id)
        until(lambda: client.refit_history(TARGET.name) != [])
        [refit] = client.refit_history(TARGET.name)
        assert (refit.measurements, refit.fit_s) == (measurements, fit_s)
        assert refit.score is None
        with pytest.raises(NotFound):
            client.refit_history("nowhere")
    database.close()
