"""Export many modules in worker processes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from types import TracebackType
from typing import TYPE_CHECKING

from latlab.common.files import FULL, storage_error
from latlab.domain.errors import ExportError, StorageError
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.export.exporter import export_with_sources
from latlab.export.program_cache import ProgramCache
from latlab.export.time_limit import (
    EXPORT_DEADLINE_S,
    EXPORT_PROCESSOR_S,
    OutOfTime,
    limited_time,
)

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

# A worker that uses more is replaced: each stock lowering leaks tens of MB.
WORKER_MAX_RSS_BYTES = 2 << 30


@dataclass(frozen=True)
class ExportSpec:
    """A module to export.

    Attributes:
        key: Names everything that the program's bytes depend on, the precision among it. Specs
            with the same key are the same program. None: nobody knows what the module depends
            on, so it is exported every time.
        make: Makes the module and its inputs in a worker, so it must pickle: a function at module
            level or a functools.partial of one.
        precision: What the program computes with.
        memory_bytes: The memory of the device that will run the program. A module whose weights
            need more is not exported. None: it is not known.
    """

    key: str | None
    make: Callable[[], tuple[nn.Module, Inputs]]
    precision: Precision = Precision.FP32
    memory_bytes: int | None = None

    @property
    def identity(self) -> object:
        """The key that specs of the same program share."""
        return self if self.key is None else self.key


Outcome = ProgramFile | ExportError
# An outcome, and the worker's peak resident memory in bytes.
_Exported = tuple[ProgramFile | ExportError | StorageError, int]


class ExportPool:
    """A pool of worker processes that export modules; a context manager.

    Workers live on between calls, because importing ExecuTorch takes seconds. None is started
    before the first export that is not in the cache.
    """

    def __init__(self, cache: ProgramCache, workers: int = 1) -> None:
        """Prepare a pool; `workers` is the number of processes."""
        self._cache = cache
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> ExportPool:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers."""
        if self._executor is not None:
            # Wait: a pool that is still ending when Python ends prints a traceback.
            self._executor.shutdown(cancel_futures=True)

    def export_all(self, specs: Sequence[ExportSpec]) -> list[Outcome]:
        """Export modules and return one outcome for each, in input order.

        The outcome of a module that cannot be exported is an ExportError. It stops no other.

        Raises:
            StorageError: Programs cannot be stored, for example because the disk is full.
        """
        outcomes = {spec.identity: outcome for spec, outcome in self.export_each(specs)}
        return [outcomes[spec.identity] for spec in specs]

    def export_each(self, specs: Iterable[ExportSpec]) -> Iterator[tuple[ExportSpec, Outcome]]:
        """Yield each distinct spec with its outcome as soon as it is exported.

        The workers go on while the caller looks at an outcome.

        Raises:
            StorageError: Programs cannot be stored, for example because the disk is full.
        """
        pending: deque[ExportSpec] = deque()
        for spec in {spec.identity: spec for spec in specs}.values():
            cached = None if spec.key is None else self._cache.get(spec.key)
            if cached is None:
                pending.append(spec)
            else:
                yield spec, cached
        suspects: deque[ExportSpec] = deque()  # specs that were exported when a worker died
        running: dict[Future[_Exported], ExportSpec] = {}

        def start(waiting: deque[ExportSpec]) -> None:
            spec = waiting.popleft()
            running[self._submit(spec)] = spec

        def occupy() -> None:
            while pending and len(running) < self._workers:
                start(pending)

        occupy()
        while running or suspects:
            alone = not running
            if alone:  # if a worker dies now, this spec is the cause
                start(suspects)
            done, _ = wait(running, timeout=2 * EXPORT_DEADLINE_S, return_when=FIRST_COMPLETED)
            ended: list[tuple[ExportSpec, Outcome]] = []
            for future in done or list(running):
                spec = running.pop(future)
                outcome = self._result(future)
                if outcome is not None:
                    ended.append((spec, outcome))
                elif alone:
                    ended.append((spec, _died(spec)))
                else:
                    suspects.append(spec)
            occupy()
            yield from ended

    def _submit(self, spec: ExportSpec) -> Future[_Exported]:
        try:
            if self._executor is not None:
                return self._executor.submit(_export, spec, self._cache)
        except BrokenProcessPool:  # a worker died since the last call
            self._retire()
        self._executor = ProcessPoolExecutor(
            self._workers, multiprocessing.get_context("spawn"), _start_worker
        )
        return self._executor.submit(_export, spec, self._cache)

    def _result(self, future: Future[_Exported]) -> Outcome | None:
        """Return the outcome, or None if the worker died.

        Workers that are dead or have grown too big are replaced.

        Raises:
            StorageError: The program could not be stored.
        """
        try:
            exported = future.result(timeout=0) if future.done() else None
        except BrokenProcessPool:
            exported = None
        if exported is None or exported[1] > WORKER_MAX_RSS_BYTES:
            self._retire()
        if exported is None:
            return None
        if isinstance(exported[0], StorageError):
            raise exported[0]
        return exported[0]

    def _retire(self) -> None:
        """Let running exports end, and start fresh workers for the next one."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        self._executor = None


def _out_of_time(spec: ExportSpec) -> ExportError:
    return ExportError(
        f"the export of {_name(spec)} was ended after {EXPORT_PROCESSOR_S} s of processor time: "
        "export a smaller network, or one with a shorter sequence, because torch.export writes "
        "out each step of an LSTM or a GRU"
    )


def _name(spec: ExportSpec) -> str:
    return "a network" if spec.key is None else spec.key


def _died(spec: ExportSpec) -> ExportError:
    return ExportError(
        f"the worker exporting {_name(spec)} died, and so did a second one: the export runs out of "
        f"memory or has not ended after {EXPORT_DEADLINE_S} s: export a smaller network, or export "
        "when this machine has less other work"
    )


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # One thread for each worker. torch reads this when the first export imports it: a worker
    # that never exports need not load it.
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # the caller's main module, loaded here as well, imports it
        sys.modules["torch"].set_num_threads(1)


def _end_with_parent() -> None:
    """End this process once its parent has ended, even if the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _export(spec: ExportSpec, cache: ProgramCache) -> _Exported:
    outcome: Outcome | StorageError
    try:
        with limited_time():
            module, inputs = spec.make()
            exported = export_with_sources(
                module, inputs, spec.precision, memory_bytes=spec.memory_bytes
            )
            program = exported.program
            key = spec.key or program.sha256
            outcome = cache.put(key, program, exported.data, exported.sources)
    except OutOfTime:
        # Whatever it was in the middle of, this process exports nothing more.
        return _out_of_time(spec), WORKER_MAX_RSS_BYTES + 1
    except StorageError as error:
        outcome = error
    except Exception as error:
        if full := _full_disk(error):  # the network is not to blame
            outcome = storage_error(full)
        elif isinstance(error, ExportError):
            outcome = error
        else:
            name = "" if spec.key is None else f"{spec.key}: "
            outcome = ExportError(f"{name}{type(error).__name__}: {error}")
    _give_back_memory()
    return outcome, _peak_rss_bytes()


def _peak_rss_bytes() -> int:
    """Return the most memory that this process has held; 0 where the system does not say."""
    try:
        import resource  # Windows lacks it
    except ImportError:
        return 0
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return unit_bytes * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _full_disk(error: BaseException | None) -> OSError | None:
    """Return the error of a full disk among the causes of an error, or None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


def _give_back_memory() -> None:
    """Free the memory of an export.

    An export leaves cycles of tensors behind, and the allocator keeps their pages. Objects that
    outlive a collection are code; to freeze them makes later collections a hundred times faster.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError):  # other C libraries than glibc lack it
        ctypes.CDLL(None).malloc_trim(0)
