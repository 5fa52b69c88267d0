"""Devices that differ in what each kind of kernel costs, known through a client that answers
without a lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import numpy as np
import pytest

from latlab.client.client import LatencyClient
from latlab.domain import kernel as k
from latlab.domain.errors import LabError, NotReady, UnknownKernelKinds
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.target import Target
from search.latency.transfer import transfer_errors
from tests.latency_models.synthetic import Machine, random_networks
from tests.search.fakes import estimate

Network = tuple[Kernel, ...]

kernel_ns = cache(Machine(quirk=0).kernel_ns)
NEW, FAST, WIDE, SLOW = (
    Target("board", "os", "runtime", "build", "xnnpack", 1, core_class)
    for core_class in ("new", "fast", "wide", "slow")
)
CONV_COSTS = {NEW: 2.0, FAST: 1.0, WIDE: 1.5, SLOW: 4.0}


def latency_ns(target: Target, network: Sequence[Kernel]) -> float:
    return sum(
        kernel_ns(kernel) * (CONV_COSTS[target] if kernel.kind == k.CONV2D else 1.0)
        for kernel in network
    )


@dataclass
class FakeStatus:
    target: Target
    measurements: int


@dataclass
class FakeClient:
    """Every target but the new one answers, or raises its error."""

    measured: Sequence[Network]
    errors: dict[Target, LabError]
    unmeasured: tuple[Target, ...] = ()

    def targets(self) -> list[FakeStatus]:
        return [FakeStatus(t, 0 if t in self.unmeasured else 20) for t in CONV_COSTS]

    def measured_networks(self, target: str) -> list[MeasuredNetwork]:
        assert target == NEW.id
        return [
            MeasuredNetwork(network, None, ns, ns, ns, unix_ns)
            for unix_ns, network in enumerate(self.measured)
            for ns in [latency_ns(NEW, network)]
        ]

    def predict(
        self, target: str, networks: Sequence[Sequence[Kernel]], *, strict: bool
    ) -> list[LatencyEstimate]:
        assert strict  # a guess of another target's tells nothing about this one
        [found] = [known for known in CONV_COSTS if known.id == target]
        assert found not in (NEW, *self.unmeasured)
        if found in self.errors:
            raise self.errors[found]
        return [estimate(round(latency_ns(found, network))) for network in networks]


def client(measured: Sequence[Network], **answers: LabError) -> LatencyClient:
    by_class = {target.core_class: target for target in CONV_COSTS}
    errors = {by_class[name]: error for name, error in answers.items()}
    return cast(LatencyClient, FakeClient(measured, errors))


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return random_networks(16, seed=5)


def test_what_is_a_mixture_of_other_targets_is_predicted_from_ten(networks: list[Network]) -> None:
    result = transfer_errors(client(networks[:10]), NEW)
    assert set(result.sources) == {FAST, WIDE, SLOW}
    assert result.errors.shape == (10,)
    assert result.errors.max() < 0.05


def test_targets_that_cannot_tell_are_left_out(networks: list[Network]) -> None:
    lab = client(networks[:6], fast=NotReady("none"), wide=UnknownKernelKinds(["gelu"]))
    assert transfer_errors(lab, NEW).sources == (SLOW,)
    fake = replace(cast(FakeClient, lab), unmeasured=(SLOW,))
    with pytest.raises(NotReady, match="no other target"):
        transfer_errors(cast(LatencyClient, fake), NEW)


def test_measurements_in_another_precision_are_left_out(networks: list[Network]) -> None:
    """On the new target they take as long as in float32 elsewhere."""
    in_float16 = [tuple(replace(k, dtype="float16") for k in network) for network in networks]
    mixed = client([*networks[:10], *in_float16[:10]])
    np.testing.assert_allclose(
        transfer_errors(mixed, NEW).errors, transfer_errors(client(networks[:10]), NEW).errors
    )


@pytest.mark.parametrize("measured", [0, 3])
def test_too_few_measurements_say_so(networks: list[Network], measured: int) -> None:
    with pytest.raises(NotReady, match=f"there are {measured}: measure more"):
        transfer_errors(client(networks[:measured]), NEW)
