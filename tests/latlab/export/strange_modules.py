"""Modules of every kind that an export may meet, drawn by hypothesis.

A case is plain data, and building it twice gives two equal modules: one to export, one to
judge by.
"""

from __future__ import annotations

import copy
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from latlab.domain.kernel import Shape
from tests.latlab.export.strange_changes import (
    CHANGES,
    LAYOUTS,
    changed,
    doubled,
    halved,
    lay_out,
    shifted,
    subclass,
)
from tests.latlab.export.strange_layers import LAYERS

# Operators that direct lowering knows; each of the others costs a stock lowering, of seconds.
DIRECT = (
    *("conv", "conv", "conv", "norm", "norm", "relu", "relu6", "sigmoid", "silu", "hardswish"),
    *("f-relu", "f-silu", "avg-pool", "max-pool", "global-pool", "zero-pad", "dropout"),
    *("identity", "residual", "gate", "concatenation", "linear-head", "tanh", "softmax"),
    *("ceil-pool", "number", "linear-image", "elementwise"),
)
STOCK = (
    *("counting-pool", "reflect-pad", "batch-statistics", "functional-dropout"),
    *("own-parameter", "own-buffer"),
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
            lay_out(part, layer.layout)
            parts.append(changed(part, layer.change, x))
    network = _whole(_with_root(nn.Sequential(*parts), case), case.whole)
    for index, part in enumerate(network.modules()):
        part.training = case.training == "all" or (case.training == "first" and index == 1)
    return network


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
            for layer in self.layers.values():  # type: ignore[operator]
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
        network.register_forward_hook(doubled)
    elif case.root == "pre-hook":
        network.register_forward_pre_hook(halved)
    elif case.root == "forward":
        network.forward = types.MethodType(shifted, network)
    elif case.root == "subclass-call":
        network.__class__ = subclass(type(network), "__call__")
    return network


class _CalledTwice(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x)
        again: Tensor = self.network(y if y.shape == x.shape else x)
        return y + again


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
