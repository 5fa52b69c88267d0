"""Prepare modules for direct or stock lowering: copy and trace them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.overrides import TorchFunctionMode

from latlab.domain.errors import ExportError
from latlab.export.execution.checking import Reference
from latlab.export.execution.example import Inputs, example_of
from latlab.export.execution.isolation import running_code_of
from latlab.export.execution.weights import check
from latlab.export.lowering.edge.tracing import traced


def prepare(module: nn.Module, inputs: Inputs) -> nn.Module:
    """Return a copy of a module in evaluation mode, ready for direct or stock lowering.

    If the module can be traced, the copy is an fx.GraphModule with its batch-norms folded and
    each node's shape in meta["tensor_meta"].

    Raises:
        ExportError: A weight is NaN or infinite, a layer has zero width, or the network does not
            take the input.
    """
    check(module)
    example = example_of(module, inputs)
    Reference(module, partial(evaluation_copy, module), example)
    copied = evaluation_copy(module)
    with running_code_of(module):
        network = traced(copied, example)
    return evaluation_copy(module) if network is None else network


def evaluation_copy(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode with weights of its own.

    Raises:
        ExportError: The module cannot be copied.
    """
    try:
        with torch.no_grad():
            try:
                copied = copy.deepcopy(module)
            except RuntimeError:  # torch copies no tensor that was computed from others
                with _ComputedTensorsDetached():
                    copied = copy.deepcopy(module)
            return _uncompiled(copied.eval())
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"the network cannot be copied, which an export does first: {error}. Remove from its "
            "attributes what copy.deepcopy cannot copy, and make computed weights ordinary with "
            "prune.remove, remove_weight_norm, remove_spectral_norm or remove_parametrizations"
        ) from error


def _uncompiled(network: nn.Module) -> nn.Module:
    """Remove torch.compile's wrappers, which compute the same after minutes of compiling."""
    for name, part in network.named_children():
        if isinstance(part, OptimizedModule):
            setattr(network, name, part._orig_mod)
        _uncompiled(getattr(network, name))
    return _uncompiled(network._orig_mod) if isinstance(network, OptimizedModule) else network


class _ComputedTensorsDetached(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if function is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]
        return function(*args, **(kwargs or {}))
