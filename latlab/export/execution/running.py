"""Run programs on this machine to compare their outputs with their module's; never to time them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latlab.export.execution.quiet import quiet, silent
from latlab.programs.reader import operator_names

if TYPE_CHECKING:
    from executorch.runtime import Method


def load(data: bytes) -> Method:
    """Load a program with ExecuTorch, and return its method, which runs it.

    Raises:
        RuntimeError: ExecuTorch cannot load the program. The message names the operators that it
            has no kernel for.
    """
    with quiet():
        from executorch.runtime import Runtime

    runtime = Runtime.get()
    known = runtime.operator_registry.operator_names
    missing = [operator for operator in operator_names(data) if operator not in known]
    if missing:
        raise RuntimeError(f"ExecuTorch has no kernel for {', '.join(missing)}")
    program = runtime.load_program(data)
    with _with_reasons():
        return program.load_method("forward")


def results(data: bytes, *inputs: Tensor) -> list[Any]:
    """Run a program, and return all its outputs.

    Raises:
        RuntimeError: The program does not run. The message names the operator that fails.
    """
    method = load(data)
    with _with_reasons():
        return list(method.execute(inputs))


@contextlib.contextmanager
def _with_reasons() -> Iterator[None]:
    """Raise a RuntimeError of the block with what ExecuTorch's log says about it."""
    with silent() as log:
        try:
            yield
        except RuntimeError as error:
            log.seek(0)
            reason = _reason(log.read().decode(errors="replace"))
            raise RuntimeError(reason or str(error)) from error


def _reason(log: str) -> str:
    """Return what ExecuTorch's log says about a failure, or ""."""
    failed = re.findall(r"failed at instruction \S+ in operator (\S+):", log)
    checks = re.findall(r"Check failed \(.*?\): (.+)", log)
    return "".join(f"{name} fails: {'; '.join(checks)}" for name in failed[-1:])


def outputs(data: bytes, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Run a program of one input and one output on each input, and yield each output."""
    method = load(data)
    for x in inputs:
        (output,) = method.execute([x])
        yield output.clone()  # the next call overwrites the program's memory
