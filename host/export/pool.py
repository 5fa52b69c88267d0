"""Many exports, in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from types import TracebackType
from typing import TYPE_CHECKING

from host.domain import ProgramFile
from host.errors import ExportError
from host.export.cache import ProgramCache
from host.export.exporter import export_program
from latency_models.kernel import Shape

if TYPE_CHECKING:
    from torch import nn

EXPORTS_PER_WORKER = 100  # then it is replaced: stock lowering keeps tens of MB a network
EXPORT_DEADLINE_S = 300
MAX_ATTEMPTS = 2  # a worker may die of its neighbour's hunger for memory


@dataclass(frozen=True)
class ExportSpec:
    """key: names everything the bytes depend on; specs of one key are one program.
    build: makes the module in a worker, so it must pickle: a functools.partial of a
    function at module level."""

    key: str
    build: Callable[[], nn.Module]
    input_shape: Shape


Outcome = ProgramFile | ExportError


class ExportPool:
    """Worker processes that stay warm between calls (importing ExecuTorch takes seconds).
    A context manager; nothing is started before the first export that the cache lacks."""

    def __init__(self, cache: ProgramCache, workers: int = 1) -> None:
        self._cache = cache
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None
        self._submitted = 0  # to the present executor

    def __enter__(self) -> ExportPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._retire()

    def export_all(
        self,
        specs: Sequence[ExportSpec],
        on_done: Callable[[ExportSpec, Outcome], None] = lambda spec, outcome: None,
    ) -> list[Outcome]:
        """One outcome for each spec, in their order. What cannot be exported is an
        ExportError in its place and stops no other. `on_done` is called in this thread,
        once for each distinct key, as they end."""
        outcomes: dict[str, Outcome] = {}
        attempts: Counter[str] = Counter()
        pending: deque[ExportSpec] = deque()
        running: dict[Future[Outcome], ExportSpec] = {}

        def end(spec: ExportSpec, outcome: Outcome) -> None:
            outcomes[spec.key] = outcome
            on_done(spec, outcome)

        for spec in {spec.key: spec for spec in specs}.values():
            cached = self._cache.get(spec.key)
            if cached is None:
                pending.append(spec)
            else:
                end(spec, cached)
        while pending or running:
            while pending and len(running) < self._workers:
                spec = pending.popleft()
                running[self._submit(spec)] = spec
            done, _ = wait(running, timeout=2 * EXPORT_DEADLINE_S, return_when=FIRST_COMPLETED)
            for future in done or list(running):
                spec = running.pop(future)
                attempts[spec.key] += 1
                outcome = _result(future)
                if outcome is not None:
                    end(spec, outcome)
                    continue
                self._retire()
                if attempts[spec.key] < MAX_ATTEMPTS:
                    pending.append(spec)
                else:
                    end(spec, _died(spec))
        return [outcomes[spec.key] for spec in specs]

    def _submit(self, spec: ExportSpec) -> Future[Outcome]:
        if self._submitted >= EXPORTS_PER_WORKER * self._workers:
            self._retire()
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), _start_worker
            )
        self._submitted += 1
        return self._executor.submit(_export, spec, self._cache)

    def _retire(self) -> None:
        """What runs may end; the next export starts fresh workers."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        self._executor = None
        self._submitted = 0


def export_all(
    specs: Sequence[ExportSpec],
    cache: ProgramCache,
    workers: int = 1,
    on_done: Callable[[ExportSpec, Outcome], None] = lambda spec, outcome: None,
) -> list[Outcome]:
    """`ExportPool.export_all` with workers of its own."""
    with ExportPool(cache, workers) as pool:
        return pool.export_all(specs, on_done)


def _result(future: Future[Outcome]) -> Outcome | None:
    """None when the worker died."""
    try:
        return future.result(timeout=0)
    except (BrokenProcessPool, TimeoutError):
        return None


def _died(spec: ExportSpec) -> ExportError:
    return ExportError(
        f"the worker exporting {spec.key} died {MAX_ATTEMPTS} times: out of memory, or over "
        f"{EXPORT_DEADLINE_S} s"
    )


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """A killed parent shuts no executor down."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _export(spec: ExportSpec, cache: ProgramCache) -> Outcome:
    signal.alarm(EXPORT_DEADLINE_S)  # ends this process, which the pool notices
    try:
        program, data = export_program(spec.build(), spec.input_shape)
        return cache.put(spec.key, program, data)
    except ExportError as error:
        return error
    except Exception as error:
        return ExportError(f"{spec.key}: {type(error).__name__}: {error}")
    finally:
        signal.alarm(0)
