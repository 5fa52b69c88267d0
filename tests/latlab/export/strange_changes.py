"""What is done to a layer: how its weights lie in memory, and what its call does beside what
its type says."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from tests.latlab.export.strange_layers import AlwaysTraining, Changing

LAYOUTS = ("offset", "expanded", "transposed", "channels-last", "slice", "strided")
CHANGES = (
    *("hook", "pre-hook", "backward-hook", "pruned", "weight-norm", "old-weight-norm"),
    *("spectral-norm", "old-spectral-norm", "parametrized", "subclass", "call", "forward"),
    *("closure", "partial", "inner-method", "attribute", "shadow", "always-training", "noise"),
    *("remembers", "padding-mode", "same-padding", "own-call-hook"),
)


# Weights.


def lay_out(module: nn.Module, layout: str) -> None:
    for part in module.modules():
        for name, weight in list(part._parameters.items()):
            if weight is not None and layout:
                part._parameters[name] = nn.Parameter(_laid_out(weight.detach(), layout))


def _laid_out(weight: Tensor, layout: str) -> Tensor:
    """Other values where the layout cannot hold these, so it is called before anything runs."""
    if layout == "offset":
        return torch.cat((torch.randn(7), weight.flatten()))[7:].view(weight.shape)
    if layout == "expanded":
        return weight[:1].expand(weight.shape)
    if layout == "transposed" and weight.dim() >= 2:
        return weight.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "channels-last" and weight.dim() == 4:
        return weight.contiguous(memory_format=torch.channels_last)
    if layout == "slice":  # as subnets are cut out of a supernet
        larger = torch.randn([size + 2 for size in weight.shape])
        corner = tuple(slice(1, 1 + size) for size in weight.shape)
        larger[corner] = weight
        return larger[corner]
    if layout == "strided":
        return torch.stack((weight, torch.randn(weight.shape)), dim=-1)[..., 0]
    return weight


# Layers that compute something else than their type says.


def doubled(module: nn.Module, args: object, output: Tensor) -> Tensor:
    return output * 2.0


def halved(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (args[0] * 0.5, *args[1:])


def _seen(module: nn.Module, gradients: object, outputs: object) -> None:
    pass


def _pruned(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]


class _Scaled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 1.5


def changed(part: nn.Module, change: str, x: Tensor) -> nn.Module:
    """part, or what stands in its place. x: what it returns."""
    weighted = [layer for layer in part.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    changes: dict[str, Callable[[], object]] = {
        "hook": lambda: part.register_forward_hook(doubled),
        "pre-hook": lambda: part.register_forward_pre_hook(halved),
        "own-call-hook": lambda: part.register_forward_hook(
            lambda module, args, kwargs, output: output + 1.0, with_kwargs=True
        ),
        "backward-hook": lambda: part.register_full_backward_hook(_seen),
        "closure": lambda: setattr(part, "forward", _with(part.forward)),
        "partial": lambda: setattr(part, "forward", functools.partial(_negated, part)),
        "forward": lambda: setattr(part, "forward", types.MethodType(shifted, part)),
        "attribute": lambda: setattr(part, "label", "stem"),
        "subclass": lambda: setattr(part, "__class__", subclass(type(part), "forward")),
        "call": lambda: setattr(part, "__class__", subclass(type(part), "__call__")),
        "always-training": lambda: setattr(part, "__class__", _always_training(type(part))),
    }
    of_weights: dict[str, Callable[[nn.Module], object]] = {
        "pruned": lambda layer: _pruned(layer),
        "weight-norm": parametrizations.weight_norm,
        "old-weight-norm": nn.utils.weight_norm,
        "spectral-norm": parametrizations.spectral_norm,
        "old-spectral-norm": nn.utils.spectral_norm,
        "parametrized": lambda layer: parametrize.register_parametrization(
            layer, "weight", _Scaled()
        ),
        "shadow": _shadow,
        "inner-method": _replace_inner_method,
        "padding-mode": lambda layer: setattr(layer, "padding_mode", "circular"),
        "same-padding": lambda layer: setattr(layer, "padding", "same"),
    }
    if change in changes:
        changes[change]()
    elif change in of_weights and weighted:
        of_weights[change](weighted[0])
    elif change in ("noise", "remembers"):
        return nn.Sequential(part, Changing(change))
    return part


def _with(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x: forward(x) - 1.0


def _negated(part: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = type(part).forward(part, x)
    return -out


def shifted(part: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = type(part).forward(part, x)
    return out + 0.5


def subclass(kind: type, method: str) -> type:
    def tripled(self: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = getattr(kind, method)(self, x)
        return out * 3.0

    return type(f"Changed{kind.__name__}", (kind,), {method: tripled})


def _always_training(kind: type) -> type:
    return type(f"Training{kind.__name__}", (AlwaysTraining, kind), {})


def _shadow(layer: nn.Module) -> None:
    """As a parameter the weight stays what it was."""
    weight = layer._parameters["weight"]
    assert weight is not None
    vars(layer)["weight"] = weight.detach() * 0.5


def _replace_inner_method(layer: nn.Module) -> None:
    def doubled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> object:
        assert isinstance(layer, nn.Conv2d)
        return type(layer)._conv_forward(layer, x, weight, bias) * 2.0

    if isinstance(layer, nn.Conv2d):
        vars(layer)["_conv_forward"] = doubled_convolution
