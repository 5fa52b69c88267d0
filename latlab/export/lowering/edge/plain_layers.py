"""Layers that compute what their type says, and weights that lie in memory in order."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_globals
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_TORCH = str(Path(torch.__file__).parent)
_WEIGHTS = {"weight", "bias"}
_STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}


def is_plain(layer: nn.Module) -> bool:
    """Return whether a layer computes what PyTorch's code for its exact type computes.

    The layer is in evaluation mode. It has no hook, no replaced method and no computed weight.
    """
    kind, attributes = type(layer), vars(layer)
    return not (
        layer.training
        or layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._modules
        or not layer._parameters.keys() <= _WEIGHTS
        or not layer._buffers.keys() <= _STATISTICS
        or any(name in attributes for name in (*layer._parameters, *layer._buffers))
        or any(hasattr(kind, name) for name in attributes)  # the instance has its own
        or not _is_of_torch(kind.forward)
    )


def calls_are_plain() -> bool:
    """Return whether calling a layer runs its forward method and nothing else.

    No hook applies to all modules of the process, and nn.Module.__call__ is PyTorch's.
    """
    return _is_of_torch(nn.Module.__call__) and not (
        module_globals._global_forward_hooks
        or module_globals._global_forward_pre_hooks
        or module_globals._global_backward_hooks
        or module_globals._global_backward_pre_hooks
    )


def _is_of_torch(function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith(_TORCH)


def is_compact(weight: Tensor) -> bool:
    """Return whether a tensor's memory holds its values in order and nothing else.

    ExecuTorch writes a weight's memory from the beginning, wherever the tensor begins in it.
    """
    return (
        type(weight) in (Tensor, nn.Parameter)
        and weight.layout == torch.strided
        and weight.device.type == "cpu"
        and weight.is_contiguous()
        and not weight.is_neg()
        and not weight.is_conj()
        and weight.storage_offset() == 0
        and weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()
    )


def make_plain(network: nn.Module) -> None:
    """Give the layers of a network plain weights where that is possible, in place.

    Weights that pruning, weight_norm, spectral_norm or parametrizations compute become ordinary
    weights. Weights that are views, expanded, transposed or channels-last get memory of their
    own. The layers compute what they computed before.
    """
    with torch.no_grad():
        for layer in list(network.modules()):
            layer._backward_hooks.clear()  # no gradient is computed here
            layer._backward_pre_hooks.clear()
            _keep_computed_by_hooks(layer)
            if parametrize.is_parametrized(layer):
                _keep_parametrized(layer)
            if type(layer) in NORMS and layer.weight is None and layer.bias is None:
                # ExecuTorch cannot lower a batch-norm without them.
                layer.weight = nn.Parameter(torch.ones(layer.num_features))
                layer.bias = nn.Parameter(torch.zeros(layer.num_features))
        for weight in (*network.parameters(), *network.buffers()):
            if not is_compact(weight) and _can_be_compact(weight):
                weight.data = torch.empty(weight.shape, dtype=weight.dtype).copy_(weight)


def _can_be_compact(weight: Tensor) -> bool:
    return (
        type(weight) in (Tensor, nn.Parameter)
        and weight.layout == torch.strided
        and weight.device.type == "cpu"
        and not weight.is_quantized
    )


def _keep_computed_by_hooks(layer: nn.Module) -> None:
    for key, hook in list(layer._forward_pre_hooks.items()):
        if not isinstance(hook, (BasePruningMethod, WeightNorm, SpectralNorm)):
            continue
        for name, weight in layer._parameters.items():
            if weight is not None:  # removing writes to it, and another layer may share it
                layer._parameters[name] = nn.Parameter(weight.clone(), weight.requires_grad)
        hook.remove(layer)
        del layer._forward_pre_hooks[key]


def _keep_parametrized(layer: nn.Module) -> None:
    """Make the weights that parametrizations compute ordinary ones.

    parametrize.remove_parametrizations cannot be used. It changes the layer's class, which a copy
    shares with its original.
    """
    parametrizations: nn.ModuleDict = layer.parametrizations  # type: ignore[assignment]
    values = {name: getattr(layer, name).clone() for name in parametrizations}
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    for name, value in values.items():
        layer.register_parameter(name, nn.Parameter(value, requires_grad=False))
