"""The part of the lab's client that is about networks: how fast they are, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, overload

from latlab.client.jobs import JobsClient
from latlab.client.measuring import (
    MeasureOptions,
    Outcome,
    measure_programs,
    measure_request,
)
from latlab.client.modules import exported
from latlab.client.profiling.measured import measured_profile
from latlab.client.requests.targets import predict
from latlab.domain.benchmark_spec import PROFILE_PAIRS, BenchmarkSpec
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from latlab.domain.kernel import Kernel
from latlab.domain.precision import Precision
from latlab.domain.program import Program, ProgramFile
from latlab.profiling.profile import Profile

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from latlab.export import Inputs, Module


class ProfileOptions(TypedDict, total=False):
    """The options of `LatencyClient.profile`, which explains them."""

    pairs: int
    fresh: bool
    priority: int


class NetworksClient(JobsClient):
    """The calls that predict, measure and profile networks, and PyTorch's modules."""

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
        with self._exported(module, example_inputs, target, precision) as (target_id, file):
            [outcome] = self._measure(target_id, [file], spec, **options)
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

    @overload
    def profile(
        self, target: str, program: ProgramFile, **options: Unpack[ProfileOptions]
    ) -> Profile | Failure: ...

    @overload
    def profile(
        self,
        module: Module,
        example_inputs: Inputs,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        **options: Unpack[ProfileOptions],
    ) -> Profile | Failure: ...

    def profile(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D417 -- see the overloads
        """Measure where the latency of a PyTorch module, or of a program, goes.

        `latlab.profiling.findings.findings` says why, and what to do about it.

        Args:
            module: A module. It is exported first.
            example_inputs: Its inputs, as `latlab.export.export_program` takes them.
            target: Id or name of the target. A module's default is `default_target`.
            program: A program. Its kernels have source lines if it was exported with them.
            precision: What the module's program computes with.
            pairs: How many pairs of an untraced and a traced visit to make. More narrow the
                intervals.
            fresh: Measure again what the lab has measured so.
            priority: As for `measure`.

        Returns:
            The profile, or the failure of the measurement.

        Raises:
            NotFound: There is no such target.
            ExportError: The module cannot be exported.
            ValueError: There are too few pairs or too many.
        """
        if _is_about_a_module(args, kwargs):
            return self._profile_module(*args, **kwargs)
        return self._profile(*args, **kwargs)

    def _profile_module(
        self,
        module: Module,
        example_inputs: Inputs,
        *,
        target: str | None = None,
        precision: Precision = Precision.FP32,
        **options: Unpack[ProfileOptions],
    ) -> Profile | Failure:
        with self._exported(module, example_inputs, target, precision) as (target_id, file):
            return self._profile(target_id, file, type(module).__name__, **options)

    def _profile(
        self,
        target: str,
        program: ProgramFile,
        name: str = "",
        *,
        pairs: int = PROFILE_PAIRS,
        **options: Unpack[MeasureOptions],
    ) -> Profile | Failure:
        found = self.find_target(target)
        [outcome] = self._measure(found.id, [program], BenchmarkSpec.paired(pairs), **options)
        if isinstance(outcome, Failure):
            return outcome
        return measured_profile(name or program.path.name, self, found, program, outcome)

    @contextmanager
    def _exported(
        self, module: Module, inputs: Inputs, target: str | None, precision: Precision
    ) -> Iterator[tuple[str, ProgramFile]]:
        """Export a module for the devices of a target, and yield that target with the program."""

        def memory_bytes() -> int | None:
            return self.memory_bytes(target or self.default_target().id)

        with exported(module, inputs, precision, memory_bytes) as file:
            yield target or self.default_target().id, file


def _is_about_a_module(args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Return whether a module comes first, where programs and networks have a target."""
    return "module" in kwargs or (len(args) > 0 and not isinstance(args[0], str))
