"""Many exports, in worker processes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import resource
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
from latlab.domain.kernel import Shape
from latlab.domain.program import ProgramFile
from latlab.export.exporter import export_program
from latlab.export.program_cache import ProgramCache

if TYPE_CHECKING:
    from torch import nn

WORKER_MAX_RSS_BYTES = 2 << 30  # then it is replaced: stock lowering keeps tens of MB each time
EXPORT_DEADLINE_S = 300


@dataclass(frozen=True)
class ExportSpec:
    """key: names everything the bytes depend on; specs of one key are one program.
    build: makes the module in a worker, so it must pickle: a functools.partial of a
    function at module level."""

    key: str
    build: Callable[[], nn.Module]
    input_shape: Shape


Outcome = ProgramFile | ExportError
# With the worker's peak resident memory in bytes.
_Exported = tuple[ProgramFile | ExportError | StorageError, int]


class ExportPool:
    """Worker processes that stay warm between calls (importing ExecuTorch takes seconds).
    A context manager; nothing is started before the first export that the cache lacks."""

    def __init__(self, cache: ProgramCache, workers: int = 1) -> None:
        self._cache = cache
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> ExportPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._executor is not None:
            # Waited for: a pool that is still ending when Python ends says so in a traceback.
            self._executor.shutdown(cancel_futures=True)

    def export_all(self, specs: Sequence[ExportSpec]) -> list[Outcome]:
        """One outcome for each spec, in their order. What cannot be exported is an
        ExportError in its place and stops no other. Raises StorageError where programs cannot
        be stored, such as on a full disk: no other program would fare better."""
        outcomes = {spec.key: outcome for spec, outcome in self.export_each(specs)}
        return [outcomes[spec.key] for spec in specs]

    def export_each(self, specs: Iterable[ExportSpec]) -> Iterator[tuple[ExportSpec, Outcome]]:
        """The same as they end, once for each distinct key. While one is looked at, the
        workers are busy with the next."""
        pending: deque[ExportSpec] = deque()
        for spec in {spec.key: spec for spec in specs}.values():
            cached = self._cache.get(spec.key)
            if cached is None:
                pending.append(spec)
            else:
                yield spec, cached
        suspects: deque[ExportSpec] = deque()  # a worker died while they were exported
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
            if alone:  # with no neighbour that could be the guilty one
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
        """None when the worker died. Retires workers that are dead or have grown too big.
        Raises StorageError."""
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
        """What runs may end; the next export starts fresh workers."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        self._executor = None


def _died(spec: ExportSpec) -> ExportError:
    return ExportError(
        f"the worker exporting {spec.key} died, and so did a second one: out of memory, or over "
        f"{EXPORT_DEADLINE_S} s"
    )


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # One thread for each worker. torch reads this when the first export imports it: a worker
    # that never exports need not load it.
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:  # the caller's main module, loaded here as well, imports it
        sys.modules["torch"].set_num_threads(1)


def _end_with_parent() -> None:
    """A killed parent shuts no executor down."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _export(spec: ExportSpec, cache: ProgramCache) -> _Exported:
    signal.alarm(EXPORT_DEADLINE_S)  # ends this process, which the pool notices
    outcome: Outcome | StorageError
    try:
        program, data = export_program(spec.build(), spec.input_shape)
        outcome = cache.put(spec.key, program, data)
    except StorageError as error:
        outcome = error
    except Exception as error:
        if full := _full_disk(error):  # not the network's fault
            outcome = storage_error(full)
        elif isinstance(error, ExportError):
            outcome = error
        else:
            outcome = ExportError(f"{spec.key}: {type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
    _give_back_memory()
    return outcome, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _full_disk(error: BaseException | None) -> OSError | None:
    """That error among those that led to this one, None where there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


def _give_back_memory() -> None:
    """An export leaves cycles of tensors behind, and the allocator keeps their pages. What
    outlives a collection is code and its tables: later collections need not look at it,
    which makes them a hundred times quicker."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError):  # the C library may not be glibc
        ctypes.CDLL(None).malloc_trim(0)
