from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

from host.database.engine import Database
from host.home.paths import sqlite_url
from host.predicting.estimates import ProvisionalLatencies
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer


def test_a_client_that_has_gone_leaves_nothing_to_the_garbage_collection(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    predictors = Predictors(database, Summarizer(database), threading.Lock(), fit_measured)
    gc.disable()
    try:
        of_client = ProvisionalLatencies(database, predictors)
        known = weakref.ref(of_client)
        del of_client
        assert known() is None
    finally:
        gc.enable()
    database.close()
