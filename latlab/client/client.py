"""The typed client of the lab, which the search and other projects use.

with latlab.connect() as lab:
    target = lab.default_target()
    [outcome] = lab.measure(target.id, [program_file])
    [estimate] = lab.predict(target.id, [program_file.program.kernels])
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from latlab.client.calls import Calls
from latlab.client.devices import DevicesClient
from latlab.client.discovery import find_lab, home_folder
from latlab.client.measuring import MEASURE_TIMEOUT_S, Outcome, measure_programs, upload
from latlab.client.stored import StoredMeasurements
from latlab.convert.kernels import kernel_to_message
from latlab.convert.latency import (
    estimate_from_message,
    measurement_from_message,
    network_from_message,
    spec_to_message,
)
from latlab.convert.status import target_status_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import NotFound
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel, pack
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target, TargetStatus, find_target
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

FIT_TIMEOUT_S = 300.0

# Networks share most of their kernels. Nothing changes the messages.
_kernel_to_message = functools.lru_cache(maxsize=65_536)(kernel_to_message)


class LatencyClient(DevicesClient):
    """A client of a running lab.

    Every call has a deadline and raises LabErrors: Unavailable if the lab does not answer, and
    those that each method names. A target is given by its id or name, a device by its serial or
    transport.

    Attributes:
        stored: The stored measurements: list, exclude and include them.
    """

    def __init__(self, address: str, token: str) -> None:
        """Open a channel to a lab. `connect` finds the lab of this machine.

        Args:
            address: The lab's host and port.
            token: The lab's token.
        """
        super().__init__(Calls(address, token))
        self._latency = LatencyServiceStub(self._calls.channel)
        self.stored = StoredMeasurements(self._calls, self._lab)

    @classmethod
    def connect(cls, home: Path | None = None) -> LatencyClient:
        """Connect to the lab that runs on this machine.

        Args:
            home: The lab's folder. Default: LATLAB_HOME, else ~/.latlab.

        Raises:
            Unavailable: The lab does not run. The message says how to start it.
            StorageError: The lab's files cannot be read.
        """
        return cls(*find_lab(home_folder() if home is None else home))

    def __enter__(self) -> LatencyClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the channel."""
        self._calls.channel.close()

    def targets(self) -> list[TargetStatus]:
        """Return every target that the lab knows, with its state."""
        response = self._calls.one(self._latency.ListTargets, latency_pb2.ListTargetsRequest())
        return list(map(target_status_from_message, response.targets))

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
        """Return whether a device of the target is the lab's own machine.

        Other work on it disturbs measurements, so work and measurements take turns.
        """
        return any(status.shares_host for status in self.targets() if status.target == target)

    def predict(
        self,
        target: str,
        networks: Sequence[Sequence[Kernel]],
        *,
        min_measurements: int = 0,
    ) -> list[LatencyEstimate]:
        """Return one predicted latency for each network.

        The first call for a target waits until its predictor is fitted.

        Args:
            target: Id or name of the target.
            networks: Each network as its kernels in execution order.
            min_measurements: The predictor must have been fitted when at least so many
                measurements were stored. One that knows fewer is fitted anew first.

        Raises:
            NotReady: Too little was measured on the target.
            UnknownKernelKinds: The predictor has never seen some kinds of kernels.
        """
        table, lengths, indices = pack(networks)
        request = latency_pb2.PredictRequest(
            target=target,
            kernels=map(_kernel_to_message, table),
            lengths=lengths,
            indices=indices,
            min_measurements=min_measurements,
        )
        response = self._calls.one(self._latency.Predict, request, timeout_s=FIT_TIMEOUT_S)
        return list(map(estimate_from_message, response.estimates))

    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile],
        spec: BenchmarkSpec | None = None,
        *,
        fresh: bool = False,
        priority: int = 0,
        patience_s: float = MEASURE_TIMEOUT_S,
        on_progress: Callable[[int, int], None] = lambda visits, ended: None,
    ) -> list[Outcome]:
        """Measure programs and return the outcome of each, in input order.

        The visits behind an outcome stay in the lab: `measurement` returns them by its id.

        Args:
            target: Id or name of the target.
            programs: An iterable, which may make programs while others are measured. They are taken
                in another thread, at most `latlab.client.upload_window.MAX_AHEAD` before their
                outcomes. What the iterable raises is raised.
            spec: How to measure.
            fresh: Measure again what the lab has measured with the same program, target and spec.
            priority: Higher priorities come first. Calls of one priority take turns, visit by
                visit.
            patience_s: The call ends if no visit and no outcome came for so many seconds. A program
                without an outcome gets a Failure DEVICE_LOST, though its job stays open. What was
                not taken from `programs` has no outcome.
            on_progress: Called with the visits done and the programs ended, over all programs.

        Raises:
            NotFound: There is no such target.
            Unavailable: The lab stopped, or it runs an older version.
        """
        request = latency_pb2.MeasureRequest(
            target=target,
            spec=spec_to_message(spec or BenchmarkSpec()),
            fresh=fresh,
            priority=priority,
            without_visits=True,
        )
        return measure_programs(
            self._calls, self._latency, request, programs, patience_s, on_progress
        )

    def measurement(self, measurement_id: str) -> Measurement:
        """Return a measurement with its raw visits.

        Raises:
            NotFound: There is no such measurement.
            StorageError: It cannot be read.
        """
        request = latency_pb2.GetMeasurementRequest(id=measurement_id)
        return measurement_from_message(self._calls.one(self._latency.GetMeasurement, request))

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """Return the latency estimate of each measurement, in input order.

        The same predictor corrects all measurements of one target, if it has learned how.

        Raises:
            NotFound: There is no such measurement.
            StorageError: One of them cannot be used.
        """
        request = latency_pb2.LookUpRequest(measurement_ids=measurement_ids)
        response = self._calls.one(self._latency.LookUp, request, timeout_s=FIT_TIMEOUT_S)
        return list(map(estimate_from_message, response.estimates))

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

    def pin_sentinel(self, file: ProgramFile) -> None:
        """Make a program the sentinel, which every target measures again now and then."""
        upload(self._calls, self._latency, file)
        request = lab_pb2.PinSentinelRequest(program_sha256=file.program.sha256)
        self._calls.one(self._lab.PinSentinel, request)

    def renew_baseline(self, target: str) -> None:
        """Make the target's next sentinel measurement its new baseline."""
        self._calls.one(self._lab.RenewBaseline, lab_pb2.RenewBaselineRequest(target=target))


def connect(home: Path | None = None) -> LatencyClient:
    """Connect to the lab that runs on this machine, as `LatencyClient.connect` does."""
    return LatencyClient.connect(home)
