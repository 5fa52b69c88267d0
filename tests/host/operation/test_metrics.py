"""What a scrape says of a lab: its calls, visits, refits, jobs, devices and predictors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.database import devices
from host.database import refits as refit_rows
from host.jobs.wait_reasons import QueuePosition
from host.operation.counters import UNKNOWN, known_method
from host.operation.lab_collector import wait_reason
from latlab.domain.errors import NotFound, NotReady
from latlab.domain.estimate import PredictionScore, Refit
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.measuring.test_statistics import NOW
from tests.host.operation.watched_lab import WatchedLab, families, watched_lab
from tests.host.stored_lab import SPEC, TOKEN, write_ordinary

PREDICT = "latlab.v1.LatencyService/Predict"
SCORE = PredictionScore(4, 1, 0.25, 0.5, 0.75)
REFIT = Refit(1, 12, 0.5, "KernelPredictor", "f", {}, SCORE)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WatchedLab]:
    with watched_lab(tmp_path) as lab:
        yield lab


def connected(lab: WatchedLab) -> None:
    wait_until(lambda: lab.client.devices()[0].state.phase.is_at_work)


def test_calls_are_counted_by_method_and_status(lab: WatchedLab) -> None:
    lab.client.devices()
    with pytest.raises(NotFound):
        lab.client.refit("nothing")
    method = "latlab.v1.LabService/ListDevices"
    wait_until(lambda: lab.values("latlab_requests_total", method=method, code="OK") == [1])
    wait_until(lambda: lab.values("latlab_requests_total", code="NOT_FOUND") == [1])
    assert lab.values("latlab_request_duration_seconds_count", method=method) == [1]


def test_a_client_s_text_never_is_a_label(lab: WatchedLab) -> None:
    with grpc.insecure_channel(lab.address) as channel:
        for method in ("/made.up/Method", "/latlab.v1.LabService/Nothing", "//", "/x" * 100):
            for metadata in ((), (("authorization", f"Bearer {TOKEN}"),)):
                call: Any = channel.unary_unary(method)
                with pytest.raises(grpc.RpcError):
                    call(b"", metadata=metadata, timeout=60)
    counted = lab.values("latlab_requests_total", method=UNKNOWN)
    assert sum(counted) == 8
    assert sum(lab.values("latlab_requests_total")) == 8


@given(st.text() | st.sampled_from([f"/{PREDICT}", PREDICT, f"/{PREDICT}/", f"/{PREDICT} "]))
def test_a_method_is_known_or_unknown(method: str) -> None:
    assert known_method(method) in (UNKNOWN, PREDICT)


def test_visits_and_refits_are_counted_by_outcome_and_target(lab: WatchedLab) -> None:
    stored = write_ordinary(lab.database, lab.folder, count=2)
    connected(lab)
    lab.device.conditions = [replace(NOW, temperature_c=41.5)]
    outcomes = lab.client.measure(TARGET.id, [one.file for one in stored], SPEC, fresh=True)
    assert len(outcomes) == 2
    with pytest.raises(NotReady):
        lab.client.refit(TARGET.id)
    labels = {"target": TARGET.id}
    assert lab.values("latlab_visits_total", outcome="samples", **labels) == [2]
    assert lab.values("latlab_visit_duration_seconds_count") == [2]
    [refits] = lab.values("latlab_refits_total", **labels)  # one was asked for, others are due
    assert [refits] == lab.values("latlab_refits_total", outcome="NotReady", **labels)
    assert refits >= 1
    assert lab.values("latlab_open_streams") == [0]
    assert lab.values("latlab_device_temperature_celsius", device="fake") == [41.5]


def test_open_jobs_are_counted_by_what_they_wait_for(lab: WatchedLab) -> None:
    stored = write_ordinary(lab.database, lab.folder, count=3)
    connected(lab)
    lab.client.set_drained(DEVICE.serial, True)
    files = [one.file for one in stored]
    measuring = threading.Thread(
        target=lambda: lab.client.measure(TARGET.id, files, SPEC, fresh=True)
    )
    measuring.start()
    wait_until(
        lambda: lab.values("latlab_open_jobs", target=TARGET.id, reason="device_not_ready") == [3]
    )
    streams = "latlab.v1.LatencyService/Measure"
    assert lab.values("latlab_open_streams", method=streams) == [1]
    lab.client.cancel_jobs(target=TARGET.id)
    measuring.join(timeout=60)
    assert lab.values("latlab_open_jobs") == []
    wait_until(lambda: lab.values("latlab_open_streams", method=streams) == [0])


def test_devices_and_targets_are_described(lab: WatchedLab) -> None:
    connected(lab)
    wait_until(lambda: lab.values("latlab_devices", phase="idle") == [1])
    assert lab.values("latlab_device_info", device="fake", model="m", phase="idle") == [1]
    assert lab.values("latlab_target_info", target=TARGET.id, name=TARGET.name) == [1]
    assert lab.values("latlab_database_up") == [1]
    assert lab.values("latlab_database_size_bytes")[0] > 0
    assert sum(lab.values("latlab_devices")) == 1


def test_predictions_are_scored_by_the_newest_refit_that_has_a_score(lab: WatchedLab) -> None:
    other = replace(TARGET, threads=2)
    with lab.database.writing() as connection:
        for target in (TARGET, other):
            devices.register_target(connection, target)
        worse = replace(REFIT, score=replace(SCORE, mean_error=0.9))
        for refit in (worse, REFIT, replace(REFIT, score=None)):
            refit_rows.add_refit(connection, TARGET.id, refit)
        refit_rows.add_refit(connection, other.id, replace(REFIT, score=None))
    assert lab.values("latlab_prediction_error_ratio") == [0.25]
    labels = {"target": TARGET.id}
    assert lab.values("latlab_prediction_within_5pct_ratio", **labels) == [0.5]
    assert lab.values("latlab_prediction_interval_coverage_ratio", **labels) == [0.75]
    assert lab.values("latlab_prediction_scored_networks", **labels) == [4]


def test_a_database_that_is_gone_costs_its_own_metrics_alone(lab: WatchedLab) -> None:
    with lab.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE targets RENAME TO gone")
    try:
        status, text = lab.get("/metrics")
        assert status == 200
        assert "latlab_database_up 0.0" in text
        assert "latlab_devices" in families(text)
        assert "latlab_database_size_bytes" not in families(text)
    finally:
        with lab.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO targets")
    assert lab.values("latlab_database_up") == [1]


def test_without_a_port_there_are_no_pages(tmp_path: Path) -> None:
    with watched_lab(tmp_path, port=0) as lab:
        assert lab.pages == ""
        assert len(lab.client.devices()) == 1


def test_what_a_job_waits_for_is_one_of_a_few_words() -> None:
    position = QueuePosition(False, "", False, False, 0)
    for changes, is_ready, reason in (
        ({"is_taken": True}, None, "visit"),
        ({"awaited_from": "serial"}, True, "answer"),
        ({"is_paused": True}, None, "paused"),
        ({"rests": True}, None, "no_device"),
        ({"rests": True}, False, "device_not_ready"),
        ({"rests": True}, True, "rests"),
        ({"ahead": 2}, True, "behind_others"),
        ({}, True, "next"),
    ):
        assert wait_reason(replace(position, **changes), is_ready) == reason
