"""Run a network's Python code along the branches that it took for its example inputs.

A program has no values yet while it is traced, so an `if` on a value stops the export. The values
that the code read in an ordinary call are given to it again instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    values: list[Any] = []

    def noted(read: Callable[[], Any]) -> Any:  # noqa: ANN401 -- a value of any dtype
        values.append(read())
        return values[-1]

    try:
        with _Reads(noted):
            outputs_of(network, example.copy())
    except MemoryError:
        raise
    except Exception:
        return []
    return values


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
        values = iter(self._values)
        with _Reads(lambda read: next(values)):
            return self.network(*args, **kwargs)


class _Reads(TorchFunctionMode):
    """Answers what the code reads of a tensor by `answer`, which gets the call that reads it."""

    def __init__(self, answer: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__()
        self._answer = answer

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if function in _READS:
            return self._answer(lambda: function(*args, **(kwargs or {})))
        return function(*args, **(kwargs or {}))
