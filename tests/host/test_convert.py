"""Every noun survives the wire."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import convert
from host.domain import Failure, FailureKind
from protos import common_pb2
from tests.host import strategies as nouns

ROUND_TRIPS = [
    (nouns.kernels, convert.kernel_to_message, convert.kernel_from_message),
    (nouns.programs, convert.program_to_message, convert.program_from_message),
    (nouns.visit_specs, convert.visit_spec_to_message, convert.visit_spec_from_message),
    (nouns.specs, convert.spec_to_message, convert.spec_from_message),
    (nouns.conditions, convert.conditions_to_message, convert.conditions_from_message),
    (nouns.visits, convert.visit_to_message, convert.visit_from_message),
    (nouns.failures, convert.failure_to_message, convert.failure_from_message),
    (nouns.devices, convert.device_to_message, convert.device_from_message),
    (nouns.targets, convert.target_to_message, convert.target_from_message),
    (nouns.measurements, convert.measurement_to_message, convert.measurement_from_message),
    (nouns.histories, convert.history_to_message, convert.history_from_message),
    (nouns.estimates, convert.estimate_to_message, convert.estimate_from_message),
    (nouns.networks, partial(convert.network_to_message, "", ""), convert.network_from_message),
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
    message = convert.failure_to_message(Failure(FailureKind.CRASHED, "told"))
    message.kind = common_pb2.FAILURE_KIND_UNSPECIFIED
    assert convert.failure_from_message(message).message == "told"
