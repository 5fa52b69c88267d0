"""An export's own processor time is limited, and not the time in which it waits."""

from __future__ import annotations

import contextlib
import threading

import pytest

from latlab.export.time_limit import OutOfTime, limited_time


def test_work_ends_although_it_handles_every_exception() -> None:
    def work() -> None:
        while True:
            with contextlib.suppress(Exception):
                sum(range(1000))

    with pytest.raises(OutOfTime), limited_time(processor_s=0.05):
        work()


def test_waiting_takes_no_processor_time() -> None:
    done = threading.Event()
    with limited_time(processor_s=1.0):
        assert not done.wait(1.2)
