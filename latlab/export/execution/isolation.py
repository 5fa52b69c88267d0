"""Leave the caller's module and the process as they were before an export."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.fx import _symbolic_trace


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Set torch up for an export, whatever the caller has set.

    Gradients are enabled, autocast is off and tensors are made on the CPU, for this thread only.
    Other threads may run modules while this thread traces. They must not trace (torch.fx,
    torch.export), because torch has no lock there.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.compiler.set_stance("force_eager"))  # compiling takes minutes
        stack.enter_context(_tracing_in(threading.get_ident()))
        # torch.fx shows progress through tqdm, which would start a thread that stays.
        stack.enter_context(mock.patch("torch.hub.tqdm.monitor_interval", 0, create=True))
        yield


@contextlib.contextmanager
def running_code_of(module: nn.Module) -> Iterator[None]:
    """Allow the forward methods of `module` or of a copy to run.

    A closure in a copy, such as a hook or a replaced forward method, may call a layer of the
    original. So the original is in evaluation mode meanwhile. Afterwards its flags and the states
    of the random number generators are what they were before.
    """
    flags = [vars(part) for part in module.modules() if vars(part).get("training")]
    with kept_random_states():
        try:
            for attributes in flags:
                attributes["training"] = False
            yield
        finally:
            for attributes in flags:
                attributes["training"] = True


@contextlib.contextmanager
def kept_random_states() -> Iterator[None]:
    """Put back the states of the random number generators after the `with` block."""
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)


def seed() -> None:
    """Seed all random number generators, always the same way."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@contextlib.contextmanager
def _tracing_in(thread: int) -> Iterator[None]:
    """Make tracers patch nn.Module for one thread only, not for the whole process."""
    patch_method = _symbolic_trace._Patcher.patch_method

    def patch_for_thread(
        patcher: _symbolic_trace._Patcher,
        owner: type,
        name: str,
        traced: Callable[..., Any],
        deduplicate: bool = True,
    ) -> None:
        ordinary = getattr(owner, name)

        def method(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as the method has them
            chosen = traced if threading.get_ident() == thread else ordinary
            return chosen(*args, **kwargs)

        patch_method(patcher, owner, name, method, deduplicate)

    with mock.patch.object(_symbolic_trace._Patcher, "patch_method", patch_for_thread):
        yield
