"""The functions that XNNPACK computes, each written as ExecuTorch would decompose it.

The arguments are the builder and the arguments' names in PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from latlab.export.lowering.edge.elementwise import ELEMENTWISE
from latlab.export.lowering.edge.graph import Builder, Handler, Value, aten, rank, require

Size = int | tuple[int, int]


def _pair(size: Size) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _avg_pool2d(
    b: Builder,
    input: Value,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    counted = count_include_pad and any(_pair(padding))
    require(
        not (counted or ceil_mode or divisor_override) and rank(input) == 4,
        "an average pool that counts its padding, rounds up or has a divisor",
    )
    kernel, strides = _pair(kernel_size), _pair(stride or kernel_size)
    return b.emit(aten.avg_pool2d.default, input, kernel, strides, _pair(padding), False, False)


def _max_pool2d(
    b: Builder,
    input: Value,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    kernel, strides = _pair(kernel_size), _pair(stride or kernel_size)
    require(
        not return_indices
        and rank(input) == 4
        and all(s <= k for s, k in zip(strides, kernel, strict=True)),
        "a max pool that returns indices or strides over values",
    )
    arguments = kernel, strides, _pair(padding), _pair(dilation), ceil_mode
    return b.emit(aten.max_pool2d.default, input, *arguments)


def _adaptive_avg_pool2d(b: Builder, input: Value, output_size: Size) -> Value:
    require(output_size in (1, (1, 1), [1, 1]), "an adaptive pool to more than one value")
    return _mean(b, input, (-1, -2), True)


def _pad(
    b: Builder, input: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    require(mode == "constant" and min(pad) >= 0, "a padding that copies or crops")
    return b.emit(aten.constant_pad_nd.default, input, list(pad), float(value or 0))


def _interpolate(
    b: Builder,
    input: Value,
    size: Size | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:
    require(mode == "bilinear" and not antialias, "an interpolation that is not bilinear")
    target = aten.upsample_bilinear2d.vec
    return b.emit(target, input, list(b.shape[2:]), bool(align_corners), None)


def _softmax(
    b: Builder, input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: None = None
) -> Value:
    is_last = dim is not None and dim % rank(input) == rank(input) - 1
    require(is_last and dtype is None, "a softmax of inner values or in another dtype")
    return b.emit(aten._softmax.default, input, dim, False)


def _mean(b: Builder, input: Value, dim: tuple[int, ...], keepdim: bool = False) -> Value:
    dims = sorted(d % rank(input) for d in dim) if isinstance(dim, (list, tuple)) else []
    whole = rank(input) == 4 and dims == [2, 3] and keepdim
    require(whole, "a mean other than over a whole image")
    return b.emit(aten.mean.dim, input, list(dim), True)


def _cat(b: Builder, tensors: list[Value], dim: int = 0) -> Value:
    """Emit concatenations of up to five tensors, because XNNPACK has none of more."""
    require(2 <= len(set(tensors)) == len(tensors), "a concatenation of other than several tensors")
    first, *others = tensors
    while len(others) > 4:
        part = [first, *others[:4]]
        shape = list(b.shape)
        shape[dim] = sum(value.meta["val"].shape[dim] for value in part)
        first, others = b.emit(aten.cat.default, part, dim, shape=tuple(shape)), others[4:]
    return b.emit(aten.cat.default, [first, *others], dim)


def _flatten(b: Builder, input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    return _reshape(b, input)


def _reshape(b: Builder, input: Value, *shape: int | Sequence[int]) -> Value:
    require(tuple(input.meta["val"].shape) != b.shape, "a reshape to the same shape")
    return b.emit(aten.view_copy.default, input, list(b.shape))


def _view(b: Builder, input: Value, *shape: int | Sequence[int]) -> Value:
    sizes = shape[0] if isinstance(shape[0], (list, tuple)) else shape
    return b.emit(aten.view_copy.default, input, list(sizes))


def _transpose(b: Builder, input: Value, dim0: int, dim1: int) -> Value:
    order = list(range(rank(input)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return b.emit(aten.permute_copy.default, input, order)


def _permute(b: Builder, input: Value, *dims: int | Sequence[int]) -> Value:
    order = dims[0] if isinstance(dims[0], (list, tuple)) else dims
    return b.emit(aten.permute_copy.default, input, list(order))


def _pixel_shuffle(b: Builder, input: Value, upscale_factor: int) -> Value:
    batch, channels, height, width = input.meta["val"].shape
    parts = batch, channels // upscale_factor**2, upscale_factor, upscale_factor, height, width
    order = [0, 1, 4, 2, 5, 3]
    split = b.emit(aten.view_copy.default, input, list(parts), shape=parts)
    moved = tuple(parts[dim] for dim in order)
    permuted = b.emit(aten.permute_copy.default, split, order, shape=moved)
    return b.emit(aten.view_copy.default, permuted, list(b.shape))


def _getitem(b: Builder, input: Value, index: Any) -> Value:  # noqa: ANN401 -- what Python allows
    """Emit a slice for each dimension that is cropped."""
    slices = index if isinstance(index, tuple) else (index,)
    cropped = all(isinstance(part, slice) and part.step in (None, 1) for part in slices)
    require(cropped, "an index that is not a slice of neighbours")
    shape = list(input.meta["val"].shape)
    for dim, part in enumerate(slices):
        start, stop, _ = part.indices(shape[dim])
        if (start, stop) != (0, shape[dim]):
            shape[dim] = stop - start
            arguments = input, dim, start, stop
            input = b.emit(aten.slice_copy.Tensor, *arguments, shape=tuple(shape))
    return input


def _contiguous(b: Builder, input: Value) -> Value:
    return input


FUNCTIONS: dict[Any, Handler] = {
    **ELEMENTWISE,
    operator.getitem: _getitem,
    torch.softmax: _softmax,
    F.softmax: _softmax,
    F.avg_pool2d: _avg_pool2d,
    F.max_pool2d: _max_pool2d,
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    F.interpolate: _interpolate,
    F.pad: _pad,
    torch.mean: _mean,
    torch.cat: _cat,
    torch.flatten: _flatten,
    torch.reshape: _reshape,
    torch.transpose: _transpose,
    torch.permute: _permute,
    torch.pixel_shuffle: _pixel_shuffle,
}

METHODS: dict[Any, Handler] = {
    **{
        name: FUNCTIONS[getattr(torch, name)]
        for name in (
            "add",
            "sub",
            "mul",
            "div",
            "relu",
            "sigmoid",
            "tanh",
            "clamp",
            "abs",
            "exp",
            "sqrt",
            "neg",
            "square",
            "pow",
            "maximum",
            "minimum",
            "softmax",
            "mean",
            "flatten",
            "reshape",
            "transpose",
            "permute",
        )
    },
    "view": _view,
    "contiguous": _contiguous,
}
