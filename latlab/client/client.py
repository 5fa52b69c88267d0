"""The typed client of the lab, which the search and other projects use.

with latlab.connect() as lab:
    outcome = lab.measure(module, (1, 3, 224, 224))
    estimate = lab.predict(module, (1, 3, 224, 224))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from latlab.client.access.tokens import AccessClient
from latlab.client.baselines import Baselines
from latlab.client.connection.calls import Calls
from latlab.client.connection.endpoint import Endpoint
from latlab.client.connection.environment import find_endpoint
from latlab.client.connection.retries import Repeat
from latlab.client.database.maintenance import DatabaseClient
from latlab.client.jobs import JobsClient
from latlab.client.measuring import (
    MeasureOptions,
    Outcome,
    measure_programs,
    measure_request,
)
from latlab.client.modules import exported
from latlab.client.requests.targets import predict
from latlab.client.requests.uploads import upload
from latlab.client.stored import StoredMeasurements
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.kernel import Kernel
from latlab.domain.precision import Precision
from latlab.domain.program import Program, ProgramFile
from latlab.v1 import lab_pb2

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from latlab.export import Inputs, Module


class LatencyClient(JobsClient):
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

    @overload
    def predict(
        self,
        target: str,
        networks: Sequence[Sequence[Kernel]],
        *,
        min_measurements: int = 0,
        strict: bool = False,
    ) -> list[LatencyEstimate]: ...

    @overload
    def predict(
        self,
        module: Module,
        example_inputs: Inputs,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        min_measurements: int = 0,
        strict: bool = False,
    ) -> LatencyEstimate: ...

    def predict(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D417 -- see the overloads
        """Return the predicted latency of a PyTorch module, or of each network.

        The first call for a target waits until its predictor is fitted. The times of kernels of a
        kind that was never measured are guesses: the estimate lists the kinds, and its interval is
        wide.

        Args:
            module: A module. It is exported first.
            example_inputs: Its inputs, as `latlab.export.export_program` takes them.
            target: Id or name of the target. A module's default is `default_target`.
            networks: Each network as its kernels in execution order.
            precision: What the module's program computes with.
            min_measurements: The predictor must have been fitted when at least so many
                measurements were stored. One that knows fewer is fitted anew first.
            strict: Refuse networks with kernels of a kind that was never measured.

        Raises:
            NotReady: Too little was measured on the target.
            UnknownKernelKinds: `strict` is set, and some kinds of kernels were never measured.
            ExportError: The module cannot be exported.
        """
        if _is_about_a_module(args, kwargs):
            return self._predict_module(*args, **kwargs)
        return self._predict(*args, **kwargs)

    def _predict_module(
        self,
        module: Module,
        example_inputs: Inputs,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        **options: Any,  # noqa: ANN401 -- as for networks
    ) -> LatencyEstimate:
        with exported(module, example_inputs, precision) as file:
            networks = [file.program.kernels]
        target = target or self.default_target().id
        [estimate] = self._predict(target, networks, **options)
        return estimate

    def _predict(
        self,
        target: str,
        networks: Sequence[Sequence[Kernel]],
        **options: Any,  # noqa: ANN401 -- as for a module
    ) -> list[LatencyEstimate]:
        return self._calls.make(predict(target, networks, **options))

    @overload
    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile | Program],
        spec: BenchmarkSpec | None = None,
        **options: Unpack[MeasureOptions],
    ) -> list[Outcome]: ...

    @overload
    def measure(
        self,
        module: Module,
        example_inputs: Inputs,
        spec: BenchmarkSpec | None = None,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        **options: Unpack[MeasureOptions],
    ) -> Outcome: ...

    def measure(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D417 -- see the overloads
        """Measure a PyTorch module, or programs, and return the outcome of each.

        The visits behind an outcome stay in the lab: `measurement` returns them by its id.

        Args:
            module: A module. It is exported first.
            example_inputs: Its inputs, as `latlab.export.export_program` takes them.
            target: Id or name of the target. A module's default is `default_target`.
            programs: An iterable, which may make programs while others are measured. A program that
                the lab has needs no file. They are taken in another thread, at most
                `latlab.client.upload_window.MAX_AHEAD` before their outcomes. What the iterable
                raises is raised.
            spec: How to measure.
            precision: What the module's program computes with.
            fresh: Measure again what the lab has measured with the same program, target and spec.
            priority: Higher priorities come first, among the caller's own jobs. Owners take turns,
                visit by visit, and so do the calls of one priority.
            patience_s: The call ends if no visit and no outcome came for so many seconds. A program
                without an outcome gets a Failure DEVICE_LOST, though its job stays open. What was
                not taken from `programs` has no outcome.
            pause_when_left: If the call ends early, for example by KeyboardInterrupt, pause what
                nobody else waits for. The visits made are kept, and the same call goes on with
                them. By default the lab goes on by itself.
            on_progress: Called with the visits done and the programs ended, over all programs.
            on_estimate: Called with a program's SHA-256 and its provisional latency, after each
                visit from the first clean one on. Its interval narrows as visits are made.

        Returns:
            The module's outcome, or the programs' outcomes in input order.

        Raises:
            NotFound: There is no such target.
            Unavailable: The lab stopped, or it runs an older version.
            ExportError: The module cannot be exported.
        """
        if _is_about_a_module(args, kwargs):
            return self._measure_module(*args, **kwargs)
        return self._measure(*args, **kwargs)

    def _measure_module(
        self,
        module: Module,
        example_inputs: Inputs,
        spec: BenchmarkSpec | None = None,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        **options: Unpack[MeasureOptions],
    ) -> Outcome:
        def memory_bytes() -> int | None:
            return self.memory_bytes(target or self.default_target().id)

        with exported(module, example_inputs, precision, memory_bytes) as file:
            target = target or self.default_target().id
            [outcome] = self._measure(target, [file], spec, **options)
        return outcome

    def _measure(
        self,
        target: str,
        programs: Iterable[ProgramFile | Program],
        spec: BenchmarkSpec | None = None,
        **options: Unpack[MeasureOptions],
    ) -> list[Outcome]:
        request = measure_request(target, spec or BenchmarkSpec(), options)
        memory_bytes = self.memory_bytes(target)
        return measure_programs(
            self._calls, self._latency, request, programs, memory_bytes, options
        )

    def pin_sentinel(self, file: ProgramFile) -> None:
        """Make a program the sentinel, which every target measures again now and then."""
        self._calls.take(upload(file, reconnects=self._calls.reconnects))
        request = lab_pb2.PinSentinelRequest(program_sha256=file.program.sha256)
        self._calls.one(self._lab.PinSentinel, request, repeat=Repeat.YES)


def connect(home: Path | None = None) -> LatencyClient:
    """Connect to the lab that the environment names, as `LatencyClient.connect` does."""
    return LatencyClient.connect(home)


def _is_about_a_module(args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Return whether a module comes first, where programs and networks have a target."""
    return "module" in kwargs or (len(args) > 0 and not isinstance(args[0], str))
