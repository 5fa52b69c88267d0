"""The part of the lab's client that is about devices and jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latlab.client.connection.calls import Calls
from latlab.client.connection.retries import Repeat
from latlab.client.requests.lab import list_conditions, list_queue
from latlab.convert.devices import history_from_message
from latlab.convert.status import device_status_from_message, open_job_from_message
from latlab.convert.visits import conditions_from_message
from latlab.domain.device import DeviceHistory, DeviceStatus
from latlab.domain.job import JobStatus, OpenJob
from latlab.domain.measurement import Conditions
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub

CANCEL_TIMEOUT_S = 300.0  # each of many jobs is a write to the database


class DevicesClient:
    """The calls about devices and jobs. A device is given by its serial or transport."""

    def __init__(self, calls: Calls) -> None:
        """Use the channel of `calls`."""
        self._calls = calls
        self._lab = LabServiceStub(calls.channel)

    def devices(self) -> list[DeviceStatus]:
        """Return every device with its state."""
        response = self._calls.one(
            self._lab.ListDevices, lab_pb2.ListDevicesRequest(), repeat=Repeat.YES
        )
        return list(map(device_status_from_message, response.devices))

    def conditions(self, transport: str) -> Conditions:
        """Return the present conditions, such as the clocks, of the device at a transport.

        Raises:
            NotFound: There is no such device.
            Unavailable: The device is not connected.
        """
        request = lab_pb2.ReadDeviceConditionsRequest(transport=transport)
        return conditions_from_message(
            self._calls.one(self._lab.ReadConditions, request, repeat=Repeat.YES)
        )

    def past_conditions(
        self, device: str, *, since_unix_ns: int = 0, before_unix_ns: int = 0
    ) -> Iterator[Conditions]:
        """Yield the conditions before and after each visit of a device, the newest first.

        Args:
            device: The device.
            since_unix_ns: From this time on, in ns since 1970; 0 for no bound.
            before_unix_ns: Before this time; 0 for no bound.

        Raises:
            NotFound: There is no such device.
        """
        return self._calls.pages(list_conditions(device, since_unix_ns, before_unix_ns))

    def queue(self, target: str = "") -> Iterator[JobStatus]:
        """Yield the open jobs of all owners, the next one in turn first.

        Args:
            target: Id or name of a target; "" for all targets.

        Raises:
            NotFound: There is no such target.
        """
        return self._calls.pages(list_queue(target))

    def jobs(self, limit: int) -> tuple[list[OpenJob], int]:
        """Return the first open jobs in rank order, at most `limit`, and how many are open."""
        response = self._calls.one(
            self._lab.ListJobs, lab_pb2.ListJobsRequest(limit=limit), repeat=Repeat.YES
        )
        return list(map(open_job_from_message, response.jobs)), response.open

    def cancel_jobs(
        self, ids: Sequence[str] = (), *, target: str = "", program_sha256: str = ""
    ) -> list[str]:
        """End the open jobs that meet every condition, and return their ids.

        Whoever waits for them gets a Failure CANCELLED. A visit under way goes on, and its
        samples are kept.

        Args:
            ids: Ids of jobs, each whole or at least its first 6 characters; empty for all.
            target: A target's id or name; "" for all.
            program_sha256: A program's SHA-256, or at least its first 6 digits; "" for all.

        Raises:
            NotFound: No open job has one of the ids, or there is no such target.
            InvalidRequest: No condition is given, or one is ambiguous.
        """
        request = lab_pb2.CancelJobsRequest(ids=ids, target=target, program_sha256=program_sha256)
        response = self._calls.one(self._lab.CancelJobs, request, timeout_s=CANCEL_TIMEOUT_S)
        return list(response.ids)

    def set_drained(self, device: str, drained: bool) -> None:
        """Give a device no more jobs, or give it jobs again.

        Raises:
            NotFound: There is no such device.
        """
        request = lab_pb2.SetDrainedRequest(device=device, drained=drained)
        self._calls.one(self._lab.SetDrained, request, repeat=Repeat.YES)

    def set_note(self, device: str, note: str) -> None:
        """Replace the note that people have left on a device.

        Raises:
            NotFound: There is no such device.
        """
        self._calls.one(
            self._lab.SetNote, lab_pb2.SetNoteRequest(device=device, note=note), repeat=Repeat.YES
        )

    def history(self, device: str) -> DeviceHistory:
        """Return a device's event history.

        Raises:
            NotFound: There is no such device.
        """
        request = lab_pb2.GetDeviceHistoryRequest(device=device)
        return history_from_message(
            self._calls.one(self._lab.GetDeviceHistory, request, repeat=Repeat.YES)
        )

    def add_board(self, address: str) -> None:
        """Make the lab serve an enrolled board.

        Raises:
            InvalidRequest: The address is not one of an enrolled board.
            NotReady: The board was removed and has not ended its last visit.
        """
        self._calls.one(self._lab.AddBoard, lab_pb2.AddBoardRequest(address=address))

    def remove_board(self, address: str) -> None:
        """Make the lab stop serving a board, once the board's visit has ended.

        Raises:
            InvalidRequest: The address makes no sense.
        """
        self._calls.one(self._lab.RemoveBoard, lab_pb2.RemoveBoardRequest(address=address))

    def remove_device(self, device: str) -> list[str]:
        """Make the lab let go of a device, or of one route to it, once its visit is over.

        Args:
            device: The device's serial, or the name or address of a route.

        Returns:
            The names of the routes that are no longer served.

        Raises:
            NotFound: There is no such device.
            InvalidRequest: It is the lab's own machine.
        """
        request = lab_pb2.RemoveDeviceRequest(device=device)
        return list(self._calls.one(self._lab.RemoveDevice, request).routes)
