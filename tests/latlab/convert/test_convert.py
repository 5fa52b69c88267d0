"""Every noun survives the wire."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.convert.devices import (
    device_from_message,
    device_to_message,
    history_from_message,
    history_to_message,
)
from latlab.convert.jobs import job_id_from_name, job_status_from_message, job_status_to_message
from latlab.convert.kernels import kernel_from_message, kernel_to_message
from latlab.convert.latency import (
    estimate_from_message,
    estimate_to_message,
    measured_from_message,
    measured_to_message,
    measurement_from_message,
    measurement_to_message,
    network_from_message,
    network_to_message,
    program_from_message,
    program_to_message,
    spec_from_message,
    spec_to_message,
    target_from_message,
    target_status_to_message,
    target_to_message,
)
from latlab.convert.measurements import stored_from_message, stored_to_message
from latlab.convert.records.measurements import (
    measurement_id_from_name,
    summary_from_message,
    summary_to_message,
    visit_summary_from_message,
    visit_summary_to_message,
)
from latlab.convert.records.predictions import details_from_message, details_to_message
from latlab.convert.refits import refit_from_message, refit_to_message
from latlab.convert.status import (
    device_status_from_message,
    device_status_to_message,
    target_status_from_message,
)
from latlab.convert.visits import (
    conditions_from_message,
    conditions_to_message,
    failure_from_message,
    failure_to_message,
    visit_from_message,
    visit_spec_from_message,
    visit_spec_to_message,
    visit_to_message,
)
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DevicePhase, DeviceState, DeviceStatus
from latlab.domain.errors import InvalidRequest
from latlab.domain.estimate import Source
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobPhase
from latlab.v1 import common_pb2, lab_pb2, latency_pb2
from tests.latlab.convert import strategies

ROUND_TRIPS = [
    (strategies.kernels, kernel_to_message, kernel_from_message),
    (strategies.programs, program_to_message, program_from_message),
    (strategies.visit_specs, visit_spec_to_message, visit_spec_from_message),
    (strategies.specs, spec_to_message, spec_from_message),
    (strategies.conditions, conditions_to_message, conditions_from_message),
    (strategies.visits, visit_to_message, visit_from_message),
    (strategies.failures, failure_to_message, failure_from_message),
    (strategies.devices, device_to_message, device_from_message),
    (strategies.targets, target_to_message, target_from_message),
    (strategies.measurements, measurement_to_message, measurement_from_message),
    (strategies.histories, history_to_message, history_from_message),
    (strategies.measured_latencies, measured_to_message, measured_from_message),
    (strategies.target_statuses, target_status_to_message, target_status_from_message),
    (strategies.estimates, estimate_to_message, estimate_from_message),
    (strategies.refits, refit_to_message, refit_from_message),
    (strategies.stored_measurements, stored_to_message, stored_from_message),
    (strategies.statuses, device_status_to_message, device_status_from_message),
    (strategies.measurement_summaries, summary_to_message, summary_from_message),
    (strategies.visit_summaries, visit_summary_to_message, visit_summary_from_message),
    (strategies.target_details, details_to_message, details_from_message),
    (strategies.job_statuses, job_status_to_message, job_status_from_message),
    (strategies.networks, partial(network_to_message, "", ""), network_from_message),
]


@pytest.mark.parametrize(
    ("values", "to_message", "from_message"),
    ROUND_TRIPS,
    ids=[from_message.__name__ for _, _, from_message in ROUND_TRIPS],
)
@given(data=st.data())
def test_a_noun_survives_the_wire(
    values: st.SearchStrategy[Any],
    to_message: Callable[[Any], Any],
    from_message: Callable[[Any], Any],
    data: st.DataObject,
) -> None:
    value = data.draw(values)
    sent = to_message(value)
    received = type(sent).FromString(sent.SerializeToString())
    assert from_message(received) == value


def test_an_unknown_kind_of_failure_is_still_a_failure() -> None:
    message = failure_to_message(Failure(FailureKind.CRASHED, "told"))
    message.kind = common_pb2.FAILURE_KIND_UNSPECIFIED
    assert failure_from_message(message).message == "told"


@pytest.mark.parametrize("phase", DevicePhase)
def test_a_client_of_before_reads_the_state_as_a_text(phase: DevicePhase) -> None:
    status = DeviceStatus(None, "local", DeviceState(phase, "why", 1), (), 0)
    assert device_status_to_message(status).state_text == f"{phase.value}: why"
    plain = DeviceStatus(None, "local", DeviceState(phase), (), 0)
    assert device_status_to_message(plain).state_text == phase.value


def test_a_lab_of_before_sends_a_text_and_no_phase() -> None:
    looked_for = device_status_from_message(lab_pb2.DeviceStatus(state_text="connecting"))
    assert looked_for.state == DeviceState(DevicePhase.CONNECTING)
    assert looked_for.transport_kind is None
    message = lab_pb2.DeviceStatus(state_text="measuring the sentinel")
    message.description.serial = "serial"
    answered = device_status_from_message(message)
    assert answered.state == DeviceState(DevicePhase.IDLE, "measuring the sentinel")


def test_a_phase_of_a_newer_lab_is_shown_by_its_text() -> None:
    message = lab_pb2.DeviceStatus(state_text="updating: 1 of 2")
    message.state.phase = 99  # type: ignore[assignment]
    assert device_status_from_message(message).state.detail == "updating: 1 of 2"


def test_a_state_of_a_newer_lab_is_open_until_there_is_an_outcome() -> None:
    message = latency_pb2.Job(name="jobs/a1", spec=spec_to_message(BenchmarkSpec()))
    message.state = message.wait_reason = 99  # type: ignore[assignment]
    found = job_status_from_message(message)
    assert found.phase is JobPhase.QUEUED
    assert found.wait_reason is None
    message.failure.message = "told"
    assert job_status_from_message(message).phase is JobPhase.FAILED
    message.measured.measurement_id = "m"
    assert job_status_from_message(message).phase is JobPhase.SUCCEEDED


def test_a_source_of_a_newer_lab_counts_as_the_weakest() -> None:
    message = latency_pb2.LatencyEstimate(latency_ns=1, source=99)  # type: ignore[arg-type]
    assert estimate_from_message(message).source is Source.BOUND


@pytest.mark.parametrize("name", ["", "a1", "jobs/", "jobs/a b", "jobs/../a", "jobs/" + "a" * 65])
def test_what_is_not_the_name_of_a_job_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="jobs/ID"):
        job_id_from_name(name)
    with pytest.raises(InvalidRequest, match="measurements/ID"):
        measurement_id_from_name(name.replace("jobs", "measurements"))
