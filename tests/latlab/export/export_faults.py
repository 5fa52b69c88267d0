"""What an export may not do: make another program than the module, leave anything changed
behind, or fail with an error of another kind than ExportError."""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import _symbolic_trace
from torch.nn.modules import module as module_globals
from torch.utils import _pytree as pytree

from latlab.domain.errors import ExportError
from latlab.domain.program import Program
from latlab.export import export_program
from tests.latlab.export.strange_modules import Case

LARGEST_ERRORS = {torch.float32: 1e-4, torch.float16: 1e-2}


@dataclass(frozen=True)
class Finding:
    """way: the program's, or "" where there is none. faults: sentences for people."""

    way: str
    error: str
    faults: tuple[str, ...]


def examine(case: Case) -> Finding:
    """Export a case's module and look for faults."""
    module = case.build()
    module_before, process_before = module_state(module), process_state()
    way = error = ""
    faults: list[str] = []
    program: tuple[Program, bytes] | None = None
    try:
        program = export_program(module, case.shape)
        way = program[0].exporter.split()[0]
    except ExportError as refusal:
        error = str(refusal)
        if case.is_ordinary:
            faults.append(f"refused, though nothing is out of the ordinary: {error}")
    except Exception as other:
        error = f"{type(other).__name__}: {other}"
        faults.append(f"an error that is no ExportError: {error}")
    faults += changes("the module", module_before, module_state(module))
    faults += changes("the process", process_before, process_state())
    if program is not None:
        faults += _wrong_outputs(case, program[1])
    return Finding(way, error, tuple(faults))


def _wrong_outputs(case: Case, data: bytes) -> list[str]:
    from executorch.runtime import Runtime

    judge = case.build().eval()
    dtypes = {weight.dtype for weight in judge.parameters() if weight.is_floating_point()}
    dtype = torch.float16 if dtypes == {torch.float16} else torch.float32
    method = Runtime.get().load_program(data).load_method("forward")
    assert method is not None
    for seed, scale in ((1, 1.0), (2, 3.0)):
        generator = torch.Generator().manual_seed(seed)
        x = (scale * torch.randn(case.shape, generator=generator)).to(dtype)
        actual = method.execute([x.clone()])
        with torch.no_grad():
            expected = pytree.tree_leaves(judge(x.clone()))
        if len(actual) != len(expected):
            return [f"{len(actual)} outputs instead of {len(expected)}"]
        for one, other in zip(actual, expected, strict=True):
            error = _error(one, other)
            if error > LARGEST_ERRORS[dtype]:
                return [f"output off by {error:.2g} of the largest output"]
    return []


def _error(actual: Any, expected: Any) -> float:  # noqa: ANN401 -- what a module returns
    if not isinstance(expected, Tensor) or not isinstance(actual, Tensor):
        return 0.0 if actual == expected else float("inf")
    if actual.shape != expected.shape:
        return float("inf")
    actual, expected = actual.double(), expected.double()
    if not torch.equal(actual.isfinite(), expected.isfinite()):
        return float("inf")
    error = (actual - expected).nan_to_num(0.0).abs().max()
    return float(error / (expected.nan_to_num(0.0).abs().max() or 1.0))


def changes(subject: str, before: dict[str, object], after: dict[str, object]) -> list[str]:
    return [
        f"{subject} is changed: {name}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def module_state(module: nn.Module) -> dict[str, object]:
    """All that can be seen of a module, so that states can be compared."""
    state: dict[str, object] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        names = [name for name in vars(type(part)) if name != "__slotnames__"]  # copy's own notes
        state[f"{name} itself"] = (id(part), type(part), names)
        for attribute, value in vars(part).items():
            state[f"{name}.{attribute}"] = _seen(value)
    return state


def _seen(value: object) -> object:
    if isinstance(value, Tensor):
        values = value.detach().flatten().contiguous()
        return (
            *(id(value), value.data_ptr(), value.shape, value.stride(), value.dtype),
            *(value.requires_grad, id(value.grad) if value.is_leaf else 0, value._version),
            bytes(values.clone().untyped_storage()),
        )
    if isinstance(value, dict):
        return [(key, _seen(held)) for key, held in value.items()]
    if isinstance(value, (bool, int, float, str)):
        return value
    return id(value)


def process_state() -> dict[str, object]:
    """What the export stack might leave behind in a process or in this thread."""
    return {
        "torch's random numbers": torch.get_rng_state().numpy().tobytes(),
        "Python's random numbers": random.getstate(),
        "numpy's random numbers": str(np.random.get_state()),
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "the modes of autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()),
        "torch's threads": torch.get_num_threads(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "modes": (
            torch._C._len_torch_dispatch_stack(),
            torch._C._len_torch_function_stack(),
        ),
        "nn.Module": [
            (name, id(value)) for name, value in vars(nn.Module).items() if callable(value)
        ],
        "global hooks": [
            dict(hooks)
            for name, hooks in vars(module_globals).items()
            if name.startswith("_global_") and isinstance(hooks, dict)
        ],
        "tracing": (
            _symbolic_trace.CURRENT_PATCHER,
            _symbolic_trace._is_fx_tracing_flag,
            id(_symbolic_trace._Patcher.patch_method),
            torch.compiler.is_compiling(),
        ),
        "warnings": (list(warnings.filters), id(warnings.showwarning)),
        "logging": (
            logging.root.manager.disable,
            list(logging.root.handlers),
            logging.root.level,
            id(logging.Logger.handle),
        ),
        "standard error": os.fstat(2).st_ino,
        "the environment": dict(os.environ),
        "the folder": (os.getcwd(), list(sys.path)),  # noqa: PTH109
        "threads": threading.active_count(),
    }


def summary(findings: Sequence[Finding]) -> dict[str, int]:
    """How many went which way."""
    return {
        "direct": sum(finding.way == "direct" for finding in findings),
        "stock": sum(finding.way == "stock" for finding in findings),
        "refused": sum(not finding.way for finding in findings),
    }
