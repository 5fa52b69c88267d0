"""The inputs that a module is exported with."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Shape
from latlab.domain.program import DTYPES, INTEGER_RANGES, TensorSpec

_SEED = 0
_LARGEST_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Example:
    """The inputs of one call of a module.

    Attributes:
        args: The positional inputs.
        kwargs: The keyword inputs, in the order in which the module's forward method names them.
        ranges: For each input the lowest and the highest value, or None: see TensorSpec. An
            integer tensor that the caller gave has the range of its values.
        is_random: Whether any of the inputs was drawn, because only its kind was given.
    """

    args: tuple[Tensor, ...]
    kwargs: Mapping[str, Tensor]
    ranges: tuple[tuple[int, int] | None, ...]
    is_random: bool

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All inputs in the order of the program's inputs."""
        return (*self.args, *self.kwargs.values())

    def specs(self) -> tuple[TensorSpec, ...]:
        """Return what a runner fills the program's inputs with, in the program's order."""
        return tuple(
            TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), *(range_ or ()))
            for tensor, range_ in zip(self.tensors, self.ranges, strict=True)
        )

    @property
    def kind(self) -> str:
        """The shapes and dtypes of the inputs, for a person."""
        return " and ".join(f"{tuple(x.shape)} in {dtype_name(x.dtype)}" for x in self.tensors)

    def copy(self) -> Example:
        """Return the same inputs in tensors of their own, which a module may change."""
        return self._of(list(map(Tensor.clone, self.tensors)))

    def with_floats(self, change: Callable[[Tensor], Tensor]) -> Example:
        """Return an example with `change` applied to the inputs of floating point."""
        return self._of([change(x) if x.is_floating_point() else x for x in self.tensors])

    def redrawn(self, seed: int) -> Example:
        """Return random inputs of the same kinds."""
        generator = torch.Generator().manual_seed(seed)
        return replace(self._of([_drawn(s, generator) for s in self.specs()]), is_random=True)

    def _of(self, tensors: Sequence[Tensor]) -> Example:
        positional = len(self.args)
        named = dict(zip(self.kwargs, tensors[positional:], strict=True))
        return replace(self, args=tuple(tensors[:positional]), kwargs=named)


Input = Shape | TensorSpec | Tensor
# One input, several positional ones, or keyword inputs.
Inputs = Input | Sequence[Input] | Mapping[str, Input] | Example


def example_of(module: nn.Module, inputs: Inputs) -> Example:
    """Return the inputs that a caller gave, with random values where only a kind was given.

    The values are the same for the same kinds. The dtype of an input that is given as its shape
    is float16 if all weights of the module are, else float32.

    Raises:
        ExportError: An input is of a type, dtype or shape that no program takes.
    """
    if isinstance(inputs, Example):
        return inputs
    if isinstance(inputs, Mapping):
        return example_of_call(module, (), inputs)
    several = (inputs,) if _is_one(inputs) else tuple(inputs)  # type: ignore[arg-type]
    return example_of_call(module, several, {})


def example_of_call(
    module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]
) -> Example:
    """Return the inputs of a call with these arguments, like `example_of`."""
    names = _in_order(module, kwargs)
    values = [*args, *(kwargs[name] for name in names)]
    if not values:
        raise ExportError("the network is given no inputs: give one for each that it takes")
    generator = torch.Generator().manual_seed(_SEED)
    tensors, ranges = zip(*(_given(value, module, generator) for value in values), strict=True)
    return Example(
        args=tensors[: len(args)],
        kwargs=dict(zip(names, tensors[len(args) :], strict=True)),
        ranges=ranges,
        is_random=not all(isinstance(value, Tensor) for value in values),
    )


def _in_order(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Return the names of keyword inputs in the order in which the forward method has them."""
    forward: list[str] = []
    with contextlib.suppress(ValueError, TypeError):  # some callables have no signature
        uncompiled = getattr(module, "_orig_mod", module)
        forward = list(inspect.signature(uncompiled.forward).parameters)
    return sorted(names, key=lambda name: forward.index(name) if name in forward else len(forward))


def input_dtype(module: nn.Module) -> torch.dtype:
    """Return float16 if all weights are float16, else float32."""
    dtypes = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    return torch.float16 if dtypes == {torch.float16} else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype, such as "float32"."""
    return str(dtype).removeprefix("torch.")


def _is_one(inputs: object) -> bool:
    """Return whether these are one input: a shape holds numbers, several inputs do not."""
    return not isinstance(inputs, (tuple, list)) or not any(
        isinstance(part, (Tensor, TensorSpec, tuple, list)) for part in inputs
    )


def _given(
    value: Any,  # noqa: ANN401 -- what a caller gives
    module: nn.Module,
    generator: torch.Generator,
) -> tuple[Tensor, tuple[int, int] | None]:
    """Return an input's tensor and the range of its integers."""
    if isinstance(value, Tensor):
        return _checked(value), _range_of(value)
    is_shape = isinstance(value, (tuple, list))
    spec = TensorSpec(tuple(value), dtype_name(input_dtype(module))) if is_shape else value
    if not isinstance(spec, TensorSpec):
        raise ExportError(
            f"an input is a {type(value).__name__}: give a tensor, a TensorSpec or a shape"
        )
    if (is_shape and not value) or not all(type(size) is int and size > 0 for size in spec.shape):
        raise ExportError(
            f"an input of shape {spec.shape} holds nothing: give whole numbers above 0"
        )
    range_ = None if spec.low is None or spec.high is None else (spec.low, spec.high)
    return _drawn(spec, generator), range_


def _checked(tensor: Tensor) -> Tensor:
    name = dtype_name(tensor.dtype)
    if name not in DTYPES:
        raise ExportError(f"an input is {name}: give one of {', '.join(DTYPES)}")
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise ExportError(
            f"an input lies on {tensor.device} in the layout {tensor.layout}: give a dense tensor "
            "of the CPU"
        )
    if not tensor.numel():
        raise ExportError(f"an input of shape {tuple(tensor.shape)} holds nothing")
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _range_of(tensor: Tensor) -> tuple[int, int] | None:
    if dtype_name(tensor.dtype) not in INTEGER_RANGES:
        return None
    return int(tensor.min()), int(tensor.max())


def _drawn(spec: TensorSpec, generator: torch.Generator) -> Tensor:
    """Return random values, which are the same ones for the same state of the generator."""
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        values = torch.randn(spec.shape, generator=generator, dtype=torch.float32, device="cpu")
        return values.to(dtype)
    low, high = (0, 1) if spec.low is None or spec.high is None else (spec.low, spec.high)
    if spec.low is None and spec.dtype in ("int8", "uint8"):
        low, high = INTEGER_RANGES[spec.dtype]
    values = torch.empty(spec.shape, dtype=torch.int64, device="cpu")
    return values.random_(low, min(high + 1, _LARGEST_INT64), generator=generator).to(dtype)
