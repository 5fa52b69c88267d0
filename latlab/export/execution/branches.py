"""Run a network's Python code along the branches that it took for its example inputs.

A program has no values yet while it is traced, so an `if` on a value stops the export. The values
that the code read in an ordinary call are given to it again instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from latlab.export.execution.checking import outputs_of
from latlab.export.execution.example import Example

_READS = (
    Tensor.__bool__,
    Tensor.__int__,
    Tensor.__float__,
    Tensor.__index__,
    Tensor.item,
    Tensor.tolist,
)


def values_read(network: nn.Module, example: Example) -> list[Any]:
    """Return the values of tensors that the network's code reads in a call, in order.

    There are none if the network does not run, as some do not in float16.
    """
    recorder = _Recorder()
    try:
        with recorder:
            outputs_of(network, example.copy())
    except MemoryError:
        raise
    except Exception:
        return []
    return recorder.values


class OnOneBranch(nn.Module):
    """Calls a network whose code reads these values, whatever its inputs are."""

    def __init__(self, network: nn.Module, values: Sequence[Any]) -> None:
        """Wrap a network in evaluation mode."""
        super().__init__()
        self.network = network
        self.training = False
        self._values = tuple(values)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:  # noqa: ANN401 -- as the network
        """Return what the network returns."""
        with _Replayer(iter(self._values)):
            return self.network(*args, **kwargs)


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[Any] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        result = function(*args, **(kwargs or {}))
        if function in _READS:
            self.values.append(result)
        return result


class _Replayer(TorchFunctionMode):
    def __init__(self, values: Iterator[Any]) -> None:
        super().__init__()
        self._values = values

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if function in _READS:
            return next(self._values)
        return function(*args, **(kwargs or {}))
