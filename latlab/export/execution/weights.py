"""Check the weights of a module before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from latlab.common.program_store import MAX_PROGRAM_BYTES
from latlab.domain.errors import ExportError
from latlab.domain.precision import Precision
from latlab.domain.program import gib, memory_excess


def check(
    module: nn.Module, precision: Precision = Precision.FP32, memory_bytes: int | None = None
) -> None:
    """Check that a module can be exported, and that its weights fit in the device's memory.

    Raises:
        ExportError: It cannot. The message says why.
    """
    require_module(module)
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    lazy = [name for name, weight in weights.items() if is_lazy(weight)]
    if lazy:
        raise ExportError(
            f"weights are lazy and have no shape yet: {_names(lazy)}: call the network once on an "
            "input before it is exported"
        )
    empty = [name for name, weight in weights.items() if weight.numel() == 0]
    if empty:
        raise ExportError(f"layers have zero width: {_names(empty)}")
    _check_device(weights)
    _check_size(weights, precision, memory_bytes)
    invalid = [
        name
        for name, weight in weights.items()
        if weight.is_floating_point() and not weight.detach().isfinite().all()
    ]
    if invalid:
        raise ExportError(f"weights are NaN or infinite: {_names(invalid)}")


def require_module(module: object) -> None:
    """Raise an ExportError if the object is not a module."""
    if not isinstance(module, nn.Module):
        raise ExportError(f"only a torch.nn.Module can be exported, not {type(module).__name__}")


def _check_device(weights: Mapping[str, Tensor]) -> None:
    elsewhere = [name for name, weight in weights.items() if weight.device.type != "cpu"]
    if not elsewhere:
        return
    device = weights[elsewhere[0]].device
    advice = "use module.cpu()"
    if device.type == "meta":
        advice = 'they have no values, so use module.to_empty(device="cpu") and load them'
    raise ExportError(f"weights lie on {device}: {_names(elsewhere)}: {advice}")


def _check_size(
    weights: Mapping[str, Tensor], precision: Precision, memory_bytes: int | None
) -> None:
    size_bytes = _size_bytes(weights, precision)
    if size_bytes > MAX_PROGRAM_BYTES:
        fitting = [p.value for p in Precision if _size_bytes(weights, p) <= MAX_PROGRAM_BYTES]
        raise ExportError(
            f"the weights take {gib(size_bytes)} in {precision.value}, and a program has at most "
            f"{gib(MAX_PROGRAM_BYTES)}: export a smaller network"
            + "".join(f", or this one in {name}" for name in fitting)
        )
    if excess := memory_excess(size_bytes, memory_bytes):
        raise ExportError(f"the weights take {excess}")


def _size_bytes(weights: Mapping[str, Tensor], precision: Precision) -> int:
    """Return the least that the weights take in a program."""
    widths = {Precision.FP16: 2, Precision.INT8: 1}
    return sum(
        weight.numel()
        * min(weight.element_size(), widths.get(precision, 8) if weight.is_floating_point() else 8)
        for weight in weights.values()
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
