"""The part of the lab's client that is about targets and what was measured on them."""

from __future__ import annotations

from collections.abc import Sequence

from latlab.client.connection.calls import Calls
from latlab.client.connection.retries import Repeat
from latlab.client.devices import DevicesClient
from latlab.client.requests.targets import (
    FIT_TIMEOUT_S,
    get_target,
    list_targets,
    predict_programs,
)
from latlab.convert.latency import network_from_message
from latlab.convert.refits import refit_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.checks.address import is_loopback
from latlab.domain.errors import NotFound
from latlab.domain.estimate import Refit
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.records.predictions import ProgramPredictions, QueryMode, TargetDetails
from latlab.domain.target import Target, TargetStatus, find_target
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub


class TargetsClient(DevicesClient):
    """The calls about targets. A target is given by its id or name."""

    def __init__(self, calls: Calls) -> None:
        """Use the channel of `calls`."""
        super().__init__(calls)
        self._latency = LatencyServiceStub(calls.channel)

    def targets(self) -> list[TargetStatus]:
        """Return every target that the lab knows, with its state."""
        return self._calls.make(list_targets())

    def target(self, name: str) -> TargetDetails:
        """Return what is known about one target, and what predictions for it rest on.

        Raises:
            NotFound: There is no such target.
        """
        return self._calls.make(get_target(name))

    def predict_programs(
        self,
        target: str,
        program_sha256: Sequence[str],
        mode: QueryMode = QueryMode.AUTO,
        *,
        max_half_width: float | None = None,
        spec: BenchmarkSpec | None = None,
    ) -> ProgramPredictions:
        """Return the latencies of programs that the lab has.

        Args:
            target: Id or name of the target.
            program_sha256: The SHA-256 of each program.
            mode: Where the answers may come from.
            max_half_width: In the mode AUTO, a measurement is queued for each program whose
                interval is wider: half of its width, as a share of the latency. None: none is.
            spec: How the queued measurements are made; None: as the lab does by default.

        Raises:
            NotFound: The lab never had a program, or, in the mode MEASURED, has not measured it.
            NotReady: Too little was measured on the target.
        """
        return self._calls.make(
            predict_programs(target, program_sha256, mode, max_half_width, spec)
        )

    def default_target(self) -> Target:
        """Return the target of one thread on the fastest cores of the first device.

        Raises:
            NotFound: No device is connected.
        """
        for status in self.targets():
            if status.devices and status.target.threads == 1:
                return status.target
        raise NotFound("no device is connected: see `latlab lab status`")

    def find_target(self, wanted: str) -> Target:
        """Return the target with this id or name.

        Raises:
            NotFound: There is no such target. The message lists those there are.
            InvalidRequest: Several targets have this name.
        """
        statuses = self.targets()
        served = [status.target for status in statuses if status.devices]
        return find_target(wanted, served, [status.target for status in statuses])

    def target_status(self, target: Target) -> TargetStatus:
        """Return the state of one target.

        Raises:
            NotFound: The lab does not know the target.
        """
        for status in self.targets():
            if status.target == target:
                return status
        raise NotFound(f"the lab does not know the target {target.name}")

    def shares_host(self, target: Target) -> bool:
        """Return whether a device of the target is this machine, where the lab runs too.

        Other work on it disturbs measurements, so work and measurements take turns.
        """
        if not is_loopback(self._calls.endpoint.address):
            return False
        return any(status.shares_host for status in self.targets() if status.target == target)

    def memory_bytes(self, target: str) -> int | None:
        """Return the largest memory of the devices that serve a target.

        It is None if no device is connected, or one of them does not report its memory.

        Raises:
            NotFound: There is no such target.
            InvalidRequest: Several targets have this name.
        """
        name = self.find_target(target).name
        sizes = [s.device.memory_bytes for s in self.devices() if s.device and name in s.targets]
        return max(sizes) if sizes and all(sizes) else None

    def measured_networks(self, target: str) -> list[MeasuredNetwork]:
        """Return each network as it was measured on the target, the oldest measurement first."""
        return list(self.measured_networks_by_id(target).values())

    def measured_networks_by_id(self, target: str) -> dict[str, MeasuredNetwork]:
        """Return each network measured on the target by measurement id, the oldest first."""
        request = latency_pb2.ListMeasuredNetworksRequest(target=target)
        stream = self._calls.stream(
            self._latency.ListMeasuredNetworks, request, timeout_s=FIT_TIMEOUT_S
        )
        return {each.measurement_id: network_from_message(each) for each in stream}

    def refit(self, target: str) -> tuple[int, float]:
        """Fit the target's predictor on everything measured there.

        Returns:
            How many measurements the predictor has learned from, and how many seconds it took.

        Raises:
            NotReady: Too little was measured on the target.
        """
        request = lab_pb2.RefitRequest(target=target)
        response = self._calls.one(self._lab.Refit, request, timeout_s=FIT_TIMEOUT_S)
        return response.measurements, response.fit_s

    def refit_history(self, target: str) -> list[Refit]:
        """Return the refits of the target's predictor that the lab has kept, the oldest first.

        Each has the score of the predictor before it, on the networks that were measured since.

        Raises:
            NotFound: There is no such target.
        """
        request = latency_pb2.ListRefitsRequest(target=target)
        response = self._calls.one(self._latency.ListRefits, request, repeat=Repeat.YES)
        return list(map(refit_from_message, response.refits))

    def renew_baseline(self, target: str) -> None:
        """Make the target's next sentinel measurement its new baseline."""
        self._calls.one(
            self._lab.RenewBaseline, lab_pb2.RenewBaselineRequest(target=target), repeat=Repeat.YES
        )
