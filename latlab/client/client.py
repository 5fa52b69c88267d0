"""The typed client of the lab, which the search and other projects use.

with latlab.connect() as lab:
    outcome = lab.measure(module, (1, 3, 224, 224))
    estimate = lab.predict(module, (1, 3, 224, 224))
"""

from __future__ import annotations

from pathlib import Path

from latlab.client.access.tokens import AccessClient
from latlab.client.baselines import Baselines
from latlab.client.connection.calls import Calls
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.environment import find_endpoint
from latlab.client.connection.retries import Repeat
from latlab.client.database.maintenance import DatabaseClient
from latlab.client.networks import NetworksClient
from latlab.client.requests.uploads import upload
from latlab.client.stored import StoredMeasurements
from latlab.domain.program import ProgramFile
from latlab.v1 import lab_pb2


class LatencyClient(NetworksClient):
    """A client of a running lab.

    Every call has a deadline and raises LabErrors: Unavailable if the lab does not answer, and
    those that each method names. A target is given by its id or name, a device by its serial or
    transport.

    Attributes:
        stored: The stored measurements: list, exclude and include them.
        baselines: The programs that the lab keeps under a name.
        access: The tokens, and who did what with them.
        database: The lab's database: back it up, check, compact and export it.
    """

    def __init__(
        self, address: str, token: str, certificate: str | None = None, *, is_own: bool = False
    ) -> None:
        """Open a channel to a lab. `connect` finds the lab.

        Args:
            address: The lab's host and port.
            token: The token to send.
            certificate: The lab's certificate as PEM, which is pinned. Without it there is no TLS,
                which is possible on loopback only.
            is_own: The lab is that of this machine, whose port changes with each start. A call
                that does not reach it is not made again.

        Raises:
            InvalidRequest: The address makes no sense, or the certificate is missing.
        """
        super().__init__(Calls(Endpoint(address, token, certificate, is_own)))
        self.stored = StoredMeasurements(self._calls, self._lab)
        self.baselines = Baselines(self._calls, self._lab)
        self.access = AccessClient(self._calls)
        self.database = DatabaseClient(self._calls)

    @classmethod
    def connect(cls, home: Path | None = None) -> LatencyClient:
        """Connect to the lab that the environment names.

        It is the lab at LATLAB_ADDRESS if that is set. LATLAB_TOKEN then holds a token, or
        LATLAB_TOKEN_FILE names a file with one, and LATLAB_CA is "sha256:FINGERPRINT" of the lab's
        certificate or a file with it. Else it is the lab that runs on this machine.

        Args:
            home: The folder of a lab of this machine, in place of what the environment says.
                Default: LATLAB_HOME, else ~/.latlab.

        Raises:
            Unavailable: The lab does not run, or does not answer. The message says what to do.
            InvalidRequest: A variable is missing, or its value makes no sense.
            Unauthenticated: The lab shows another certificate than LATLAB_CA names.
            StorageError: A file cannot be read.
        """
        found = find_endpoint(home)
        return cls(found.address, found.token, found.certificate, is_own=found.is_own)

    def __enter__(self) -> LatencyClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the channel."""
        self._calls.channel.close()

    def pin_sentinel(self, file: ProgramFile) -> None:
        """Make a program the sentinel, which every target measures again now and then."""
        self._calls.take(upload(file, reconnects=self._calls.reconnects))
        request = lab_pb2.PinSentinelRequest(program_sha256=file.program.sha256)
        self._calls.one(self._lab.PinSentinel, request, repeat=Repeat.YES)


def connect(home: Path | None = None) -> LatencyClient:
    """Connect to the lab that the environment names, as `LatencyClient.connect` does."""
    return LatencyClient.connect(home)
