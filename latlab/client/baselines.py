"""The part of the lab's client that is about baselines: programs kept under a name."""

from __future__ import annotations

from latlab.client.connection.calls import Calls
from latlab.client.connection.retries import Repeat
from latlab.client.requests.uploads import upload
from latlab.convert.latency import program_from_message
from latlab.domain.program import Baseline, Program, ProgramFile
from latlab.v1 import lab_pb2
from latlab.v1.lab_pb2_grpc import LabServiceStub


class Baselines:
    """The programs that the lab keeps under a name, as `LatencyClient.baselines`.

    A name has 1 to 100 letters, digits and characters of `._/-`.
    """

    def __init__(self, calls: Calls, lab: LabServiceStub) -> None:
        """Use the channel of a client."""
        self._calls = calls
        self._lab = lab

    def set(self, name: str, file: ProgramFile) -> None:
        """Keep a program under a name, in place of the one that had it.

        Raises:
            InvalidRequest: The name is not one, or the lab keeps as many as it may.
        """
        self._calls.take(upload(file, reconnects=self._calls.reconnects))
        request = lab_pb2.SetBaselineRequest(name=name, program_sha256=file.program.sha256)
        self._calls.one(self._lab.SetBaseline, request, repeat=Repeat.YES)

    def get(self, name: str) -> Program:
        """Return the program that is kept under a name. The lab has its bytes.

        Raises:
            NotFound: There is no such baseline, or its bytes are gone.
        """
        request = lab_pb2.GetBaselineRequest(name=name)
        return program_from_message(
            self._calls.one(self._lab.GetBaseline, request, repeat=Repeat.YES)
        )

    def list(self) -> list[Baseline]:
        """Return the baselines, in the order of their names."""
        response = self._calls.one(
            self._lab.ListBaselines, lab_pb2.ListBaselinesRequest(), repeat=Repeat.YES
        )
        return [
            Baseline(each.name, each.program_sha256, each.size_bytes, each.unix_ns)
            for each in response.baselines
        ]

    def remove(self, name: str) -> None:
        """Forget a name.

        Raises:
            NotFound: There is no such baseline.
        """
        self._calls.one(self._lab.RemoveBaseline, lab_pb2.RemoveBaselineRequest(name=name))
