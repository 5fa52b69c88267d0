"""The typed client of the lab: what the search uses, and other projects.

with latlab.connect() as lab:
    target = lab.default_target()
    [outcome] = lab.measure(target.id, [program_file])
    [estimate] = lab.predict(target.id, [program_file.program.kernels])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from latlab.client.calls import Calls
from latlab.client.discovery import find_lab, home_folder
from latlab.client.stored import StoredMeasurements
from latlab.client.upload_window import Ahead
from latlab.common.upload import read_chunks
from latlab.convert.devices import history_from_message
from latlab.convert.kernels import kernel_to_message
from latlab.convert.latency import (
    estimate_from_message,
    measurement_from_message,
    network_from_message,
    program_to_message,
    spec_to_message,
)
from latlab.convert.status import (
    device_status_from_message,
    open_job_from_message,
    target_status_from_message,
)
from latlab.convert.visits import conditions_from_message, failure_from_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DeviceHistory, DeviceStatus
from latlab.domain.errors import LabError, NotFound
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import OpenJob
from latlab.domain.kernel import Kernel, pack
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Conditions, Measurement
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target, TargetStatus, find_target
from latlab.v1 import lab_pb2, latency_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub
from latlab.v1.latency_pb2_grpc import LatencyServiceStub

UPLOAD_TIMEOUT_S = 300.0
FIT_TIMEOUT_S = 300.0
MEASURE_TIMEOUT_S = 24 * 3600.0

Outcome = Measurement | Failure


class LatencyClient:
    """Every call has a deadline and raises LabErrors: Unavailable when the lab does not
    answer, and what each method names. A target is given by its id or name."""

    def __init__(self, address: str, token: str) -> None:
        self._calls = Calls(address, token)
        self._latency = LatencyServiceStub(self._calls.channel)
        self._lab = LabServiceStub(self._calls.channel)
        self.stored = StoredMeasurements(self._calls, self._lab)

    @classmethod
    def connect(cls, home: Path | None = None) -> LatencyClient:
        """To the lab that runs on this machine and whose state lies in `home`: LATLAB_HOME by
        default, else ~/.latlab. Raises Unavailable, saying how to start it, and StorageError."""
        return cls(*find_lab(home_folder() if home is None else home))

    def __enter__(self) -> LatencyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.channel.close()

    def targets(self) -> list[TargetStatus]:
        response = self._calls.one(self._latency.ListTargets, latency_pb2.ListTargetsRequest())
        return list(map(target_status_from_message, response.targets))

    def default_target(self) -> Target:
        """One thread on the fastest cores of the first device. Raises NotFound without one."""
        for status in self.targets():
            if status.devices and status.target.threads == 1:
                return status.target
        raise NotFound("no device is connected: see `latlab lab status`")

    def find_target(self, wanted: str) -> Target:
        """By id or name. Raises NotFound, listing what there is, and InvalidRequest."""
        statuses = self.targets()
        served = [status.target for status in statuses if status.devices]
        return find_target(wanted, served, [status.target for status in statuses])

    def shares_host(self, target: Target) -> bool:
        """Whether a device that serves it is the lab's own machine, which other work
        disturbs: then that work and measuring take turns."""
        return any(status.shares_host for status in self.targets() if status.target == target)

    def predict(self, target: str, networks: Sequence[Sequence[Kernel]]) -> list[LatencyEstimate]:
        """One estimate for each network, given as its kernels in order.

        Raises NotReady when too little was measured, UnknownKernelKinds listing the kinds.
        """
        table, lengths, indices = pack(networks)
        request = latency_pb2.PredictRequest(
            target=target,
            kernels=map(kernel_to_message, table),
            lengths=lengths,
            indices=indices,
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
        """An outcome for each program, in their order. What the lab holds already for the
        same program, target and spec is not measured again unless `fresh`. Higher priority
        comes first; calls of one priority take turns, visit by visit.

        programs: may be made while others are measured; taken in another thread, at most
        `latlab.client.upload_window.MAX_AHEAD` before their outcomes. What it raises is raised.
        patience_s: where the lab says nothing for so long, no visit and no outcome, what has
        not ended is a Failure DEVICE_LOST, though its job stays open, and what was not taken
        from `programs` yet has no outcome.
        on_progress: called with visits done and programs ended, over all programs.
        """
        ahead = Ahead(programs)
        spec_message = spec_to_message(spec or BenchmarkSpec())

        def request(file: ProgramFile) -> latency_pb2.MeasureRequest:
            self._upload(file)
            return latency_pb2.MeasureRequest(
                target=target,
                program_sha256=[file.program.sha256],
                spec=spec_message,
                fresh=fresh,
                priority=priority,
            )

        outcomes: dict[str, Outcome] = {}
        visits_done: dict[str, int] = {}
        events = self._calls.stream(
            self._latency.Measure, ahead.map(request), MEASURE_TIMEOUT_S, patience_s
        )
        try:
            for event in events:
                outcome = _outcome(event)
                if outcome is None:
                    visits_done[event.program_sha256] = event.progress.visits_done
                else:
                    outcomes[event.program_sha256] = outcome
                    ahead.ended()
                on_progress(sum(visits_done.values()), len(outcomes))
        except LabError:
            if ahead.error is not None:
                raise ahead.error from None
            raise
        finally:
            ahead.close()
        silent = Failure(
            FailureKind.DEVICE_LOST,
            f"no visit came about for {patience_s:g} s: `latlab jobs` says what jobs wait for",
        )
        return [outcomes.get(sha256, silent) for sha256 in ahead.order]

    def measurement(self, measurement_id: str) -> Measurement:
        """Raises NotFound, and StorageError for one that cannot be read."""
        request = latency_pb2.GetMeasurementRequest(id=measurement_id)
        return measurement_from_message(self._calls.one(self._latency.GetMeasurement, request))

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        """What measurements say of their networks, steadied where the target's predictor has
        learned to; in the order given. Raises NotFound, and StorageError for one of no use."""
        request = latency_pb2.LookUpRequest(measurement_ids=measurement_ids)
        response = self._calls.one(self._latency.LookUp, request, timeout_s=FIT_TIMEOUT_S)
        return list(map(estimate_from_message, response.estimates))

    def measured_networks(self, target: str) -> list[MeasuredNetwork]:
        """Everything measured on the target, the oldest first."""
        return list(self.measured_networks_by_id(target).values())

    def measured_networks_by_id(self, target: str) -> dict[str, MeasuredNetwork]:
        """As `measured_networks`, by the ids of their measurements."""
        request = latency_pb2.ListMeasuredNetworksRequest(target=target)
        stream = self._calls.stream(
            self._latency.ListMeasuredNetworks, request, timeout_s=FIT_TIMEOUT_S
        )
        return {each.measurement_id: network_from_message(each) for each in stream}

    def devices(self) -> list[DeviceStatus]:
        response = self._calls.one(self._lab.ListDevices, lab_pb2.ListDevicesRequest())
        return list(map(device_status_from_message, response.devices))

    def conditions(self, transport: str) -> Conditions:
        """As they are now, of the device behind it. Raises NotFound, Unavailable."""
        request = lab_pb2.ReadDeviceConditionsRequest(transport=transport)
        return conditions_from_message(self._calls.one(self._lab.ReadConditions, request))

    def jobs(self, limit: int) -> tuple[list[OpenJob], int]:
        """The first open jobs in turn, at most `limit`, and how many are open in all."""
        response = self._calls.one(self._lab.ListJobs, lab_pb2.ListJobsRequest(limit=limit))
        return list(map(open_job_from_message, response.jobs)), response.open

    def set_drained(self, device: str, drained: bool) -> None:
        """Of a device by its serial or transport, here and below. Raises NotFound."""
        request = lab_pb2.SetDrainedRequest(device=device, drained=drained)
        self._calls.one(self._lab.SetDrained, request)

    def set_note(self, device: str, note: str) -> None:
        """Raises NotFound."""
        self._calls.one(self._lab.SetNote, lab_pb2.SetNoteRequest(device=device, note=note))

    def history(self, device: str) -> DeviceHistory:
        """Raises NotFound."""
        request = lab_pb2.GetDeviceHistoryRequest(device=device)
        return history_from_message(self._calls.one(self._lab.GetDeviceHistory, request))

    def add_board(self, address: str) -> None:
        """Has the lab serve an enrolled board from now on. Raises InvalidRequest, and NotReady
        while one that was removed ends its last visit."""
        self._calls.one(self._lab.AddBoard, lab_pb2.AddBoardRequest(address=address))

    def remove_board(self, address: str) -> None:
        """Has the lab let go of a board, once its visit is over. Raises InvalidRequest."""
        self._calls.one(self._lab.RemoveBoard, lab_pb2.RemoveBoardRequest(address=address))

    def refit(self, target: str) -> tuple[int, float]:
        """(measurements, seconds) of a fit on everything measured. Raises NotReady."""
        request = lab_pb2.RefitRequest(target=target)
        response = self._calls.one(self._lab.Refit, request, timeout_s=FIT_TIMEOUT_S)
        return response.measurements, response.fit_s

    def pin_sentinel(self, file: ProgramFile) -> None:
        """Makes it the program that every target is held against, now and then."""
        self._upload(file)
        request = lab_pb2.PinSentinelRequest(program_sha256=file.program.sha256)
        self._calls.one(self._lab.PinSentinel, request)

    def renew_baseline(self, target: str) -> None:
        """What the target's sentinel measures next is what it is held against from then on."""
        self._calls.one(self._lab.RenewBaseline, lab_pb2.RenewBaselineRequest(target=target))

    def _upload(self, file: ProgramFile) -> None:
        def parts() -> Iterator[latency_pb2.UploadRequest]:
            yield latency_pb2.UploadRequest(program=program_to_message(file.program))
            for chunk in read_chunks(file.path):
                yield latency_pb2.UploadRequest(chunk=chunk)

        self._calls.one(self._latency.UploadProgram, parts(), timeout_s=UPLOAD_TIMEOUT_S)


def _outcome(event: latency_pb2.MeasureEvent) -> Outcome | None:
    """None for one that tells of progress."""
    match event.WhichOneof("event"):
        case "measurement":
            return measurement_from_message(event.measurement)
        case "failure":
            return failure_from_message(event.failure)
        case _:
            return None


def connect(home: Path | None = None) -> LatencyClient:
    """`LatencyClient.connect`, under the name that programs use: `latlab.connect()`."""
    return LatencyClient.connect(home)
