"""Modules of every kind that an export may meet, drawn by hypothesis.

A case is plain data, and building it twice gives two equal modules: one to export, one to
judge by.
"""

from __future__ import annotations

import copy
import functools
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from latency_models.kernel import Shape
from tests.host.strange_layers import LAYERS, AlwaysTraining, Changing

# Operators that direct lowering knows; each of the others costs a stock lowering, of seconds.
DIRECT = (
    *("conv", "conv", "conv", "norm", "norm", "relu", "relu6", "sigmoid", "silu", "hardswish"),
    *("f-relu", "f-silu", "avg-pool", "max-pool", "global-pool", "zero-pad", "dropout"),
    *("identity", "residual", "gate", "concatenation", "linear-head"),
)
STOCK = (
    *("tanh", "softmax", "counting-pool", "ceil-pool", "reflect-pad", "batch-statistics"),
    *("number", "functional-dropout", "own-parameter", "own-buffer", "linear-image"),
)

LAYOUTS = ("offset", "expanded", "transposed", "channels-last", "slice", "strided")
CHANGES = (
    *("hook", "pre-hook", "backward-hook", "pruned", "weight-norm", "old-weight-norm"),
    *("spectral-norm", "old-spectral-norm", "parametrized", "subclass", "call", "forward"),
    *("closure", "partial", "inner-method", "attribute", "shadow", "always-training", "noise"),
    *("remembers", "padding-mode", "same-padding", "own-call-hook"),
)
WHOLES = ("half", "double", "bfloat16", "mixed", "tied", "flat-vector", "called-twice")
ROOTS = ("hook", "pre-hook", "forward", "subclass-call", "list", "dict", "unused", "branch")
OUTPUTS = ("tuple", "dict", "with-input", "twice", "input", "constant", "number", "none")


@dataclass(frozen=True)
class Layer:
    """kind: of LAYERS. numbers: what it takes its sizes from. layout: how its weights lie in
    memory. change: what else its call does."""

    kind: str
    numbers: tuple[int, ...] = (0,) * 8
    layout: str = ""
    change: str = ""


@dataclass(frozen=True)
class Case:
    """shape: of the input. whole, root, output: what is done to the whole network, to its
    outermost module and to what it returns. training: of all modules or of the first one."""

    shape: Shape
    layers: tuple[Layer, ...]
    whole: str = ""
    root: str = ""
    output: str = ""
    training: str = ""
    seed: int = 0

    @property
    def is_ordinary(self) -> bool:
        """Whether the case has to be exported: an export may refuse no such module."""
        return (
            not self.output
            and self.whole in ("", "tied", "flat-vector", "called-twice")
            and self.root in ("", "list", "dict")
            and all(layer.kind in DIRECT for layer in self.layers)
            and all(layer.change in ("", "attribute", "pruned") for layer in self.layers)
        )

    def build(self) -> nn.Module:
        with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return _build(self)


def _rarely(values: tuple[str, ...], one_in: int) -> st.SearchStrategy[str]:
    often = st.just("")
    return st.integers(1, one_in).flatmap(lambda n: st.sampled_from(values) if n == 1 else often)


def _layers(stock_one_in: int) -> st.SearchStrategy[Layer]:
    numbers = st.tuples(*[st.integers(0, 11)] * 8)
    kinds = st.integers(1, stock_one_in).flatmap(
        lambda n: st.sampled_from(STOCK if n == 1 else DIRECT)
    )
    return st.builds(Layer, kinds, numbers, _rarely(LAYOUTS, 3), _rarely(CHANGES, 20))


def cases(stock_one_in: int = 60) -> st.SearchStrategy[Case]:
    """stock_one_in: of so many layers one is of a kind that direct lowering does not know."""
    sizes = st.sampled_from((1, 1, 2, 3, 5, 8, 12))
    shapes = st.tuples(st.sampled_from((1, 1, 1, 2)), st.integers(1, 6), sizes, sizes)
    return st.builds(
        Case,
        shapes,
        st.lists(_layers(stock_one_in), min_size=1, max_size=5).map(tuple),
        _rarely(WHOLES, 12),
        _rarely(ROOTS, 12),
        _rarely(OUTPUTS, 30),
        st.sampled_from(("", "all", "first")),
        st.integers(0, 10**6),
    )


def _build(case: Case) -> nn.Module:
    parts: list[nn.Module] = []
    x = torch.randn(case.shape)
    for layer in case.layers:
        for part in LAYERS[layer.kind](tuple(x.shape), layer.numbers):
            try:
                with torch.no_grad():
                    x = copy.deepcopy(part).eval()(x)
            except (RuntimeError, ValueError, IndexError):
                continue  # not for this shape
            _lay_out(part, layer.layout)
            parts.append(_changed(part, layer.change, x))
    network = _whole(_with_root(nn.Sequential(*parts), case), case.whole)
    for index, part in enumerate(network.modules()):
        part.training = case.training == "all" or (case.training == "first" and index == 1)
    return network


# Weights.


def _lay_out(module: nn.Module, layout: str) -> None:
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


def _doubled(module: nn.Module, args: object, output: Tensor) -> Tensor:
    return output * 2.0


def _halved(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (args[0] * 0.5, *args[1:])


def _seen(module: nn.Module, gradients: object, outputs: object) -> None:
    pass


class _Scaled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 1.5


def _changed(part: nn.Module, change: str, x: Tensor) -> nn.Module:
    """part, or what stands in its place. x: what it returns."""
    weighted = [layer for layer in part.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    changes: dict[str, Callable[[], object]] = {
        "hook": lambda: part.register_forward_hook(_doubled),
        "pre-hook": lambda: part.register_forward_pre_hook(_halved),
        "own-call-hook": lambda: part.register_forward_hook(
            lambda module, args, kwargs, output: output + 1.0, with_kwargs=True
        ),
        "backward-hook": lambda: part.register_full_backward_hook(_seen),
        "closure": lambda: setattr(part, "forward", _with(part.forward)),
        "partial": lambda: setattr(part, "forward", functools.partial(_negated, part)),
        "forward": lambda: setattr(part, "forward", types.MethodType(_shifted, part)),
        "attribute": lambda: setattr(part, "label", "stem"),
        "subclass": lambda: setattr(part, "__class__", _subclass(type(part), "forward")),
        "call": lambda: setattr(part, "__class__", _subclass(type(part), "__call__")),
        "always-training": lambda: setattr(part, "__class__", _always_training(type(part))),
    }
    of_weights: dict[str, Callable[[nn.Module], object]] = {
        "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        "weight-norm": parametrizations.weight_norm,
        "old-weight-norm": nn.utils.weight_norm,
        "spectral-norm": parametrizations.spectral_norm,
        "old-spectral-norm": nn.utils.spectral_norm,
        "parametrized": lambda layer: parametrize.register_parametrization(
            layer, "weight", _Scaled()
        ),
        "shadow": lambda layer: vars(layer).update(weight=layer.weight.detach() * 0.5),
        "inner-method": lambda layer: _replace_inner_method(layer),
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
    return -type(part).forward(part, x)


def _shifted(part: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = type(part).forward(part, x)
    return out + 0.5


def _subclass(kind: type, method: str) -> type:
    def changed(self: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = getattr(kind, method)(self, x)
        return out * 3.0

    return type(f"Changed{kind.__name__}", (kind,), {method: changed})


def _always_training(kind: type) -> type:
    return type(f"Training{kind.__name__}", (AlwaysTraining, kind), {})


def _replace_inner_method(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        layer._conv_forward = (  # type: ignore[method-assign]
            lambda x, weight, bias: 2.0 * type(layer)._conv_forward(layer, x, weight, bias)
        )


# The network around them.


class _Root(nn.Module):
    """layers, called as `style` says; what they return as `output` says."""

    def __init__(self, layers: nn.Sequential, style: str, output: str) -> None:
        super().__init__()
        self.layers: nn.Module = layers
        if style == "list":
            self.layers = nn.ModuleList(layers)
        elif style == "dict":
            self.layers = nn.ModuleDict({f"part{i}": part for i, part in enumerate(layers)})
        self.style = style
        self.output = output

    def forward(self, x: Tensor) -> object:
        y = x
        if self.style == "list":
            for layer in self.layers:  # type: ignore[attr-defined]
                y = layer(y)
        elif self.style == "dict":
            for layer in self.layers.values():  # type: ignore[operator, union-attr]
                y = layer(y)
        elif self.style == "branch" and not isinstance(y, Tensor):  # so it is while fx traces
            y = torch.relu(self.layers(y))
        else:
            y = self.layers(y)
        if self.style == "unused":
            torch.sigmoid(y)
        outputs: dict[str, Callable[[], object]] = {
            "tuple": lambda: (y, torch.relu(y)),
            "dict": lambda: {"b": y, "a": torch.sigmoid(y)},
            "with-input": lambda: (x, y),
            "twice": lambda: [y, y],
            "input": lambda: x,
            "constant": lambda: torch.ones(2),
            "number": lambda: (y, 3),
            "none": lambda: (y, None),
        }
        return outputs[self.output]() if self.output else y


def _with_root(layers: nn.Sequential, case: Case) -> nn.Module:
    styled = case.output or case.root in ("list", "dict", "unused", "branch")
    network: nn.Module = _Root(layers, case.root, case.output) if styled else layers
    if case.output:
        return network
    if case.root == "hook":
        network.register_forward_hook(_doubled)
    elif case.root == "pre-hook":
        network.register_forward_pre_hook(_halved)
    elif case.root == "forward":
        network.forward = types.MethodType(_shifted, network)  # type: ignore[method-assign]
    elif case.root == "subclass-call":
        network.__class__ = _subclass(type(network), "__call__")
    return network


class _CalledTwice(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x)
        return self.network(y) if y.shape == x.shape else y + self.network(x)


def _whole(network: nn.Module, whole: str) -> nn.Module:
    if whole in ("half", "double", "bfloat16"):
        return network.to({"half": torch.half, "double": torch.double}.get(whole, torch.bfloat16))
    weights = list(network.named_parameters())
    if whole == "mixed":
        for part in list(network.modules())[-2:]:
            part.half()
    elif whole == "tied":
        _tie(network)
    elif whole == "flat-vector" and weights:
        for _, weight in weights:
            weight.data = weight.data.contiguous()
        vector = nn.utils.parameters_to_vector(network.parameters()).detach()
        nn.utils.vector_to_parameters(vector, network.parameters())
    elif whole == "called-twice":
        return _CalledTwice(network)
    return network


def _tie(network: nn.Module) -> None:
    """Layers of equal shapes share their weights, every other one through a view."""
    known: dict[Shape, nn.Parameter] = {}
    for index, part in enumerate(network.modules()):
        for name, weight in part._parameters.items():
            if weight is not None:
                other = known.setdefault(tuple(weight.shape), weight)
                shared = other if index % 2 else nn.Parameter(other.detach()[:])
                part._parameters[name] = shared
