"""Check that a program computes what its module computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from latlab.domain.errors import ExportError
from latlab.export.execution.causes import explained
from latlab.export.execution.example import Example, dtype_name
from latlab.export.execution.isolation import running_code_of

# The largest errors that arithmetic in another order makes, as shares of an output's largest
# value, in float32 and in float16.
TOLERANCE, HALF_TOLERANCE = 1e-4, 1e-2

# Programs may differ from their module by this many times the module's own rounding error, up
# to a limit.
ROUNDING_MARGIN = 10.0
MOST_ROUNDING = 1e-2

LARGE = 8.0  # times a standard normal input


def outputs_of(network: nn.Module, example: Example) -> list[Any]:
    """Return what the network returns for the inputs, flattened to a list.

    The network may return other values than tensors, and may work on the inputs in place.
    """
    with torch.no_grad():
        leaves = pytree.tree_leaves(network(*example.args, **example.kwargs))
    return [leaf.detach().clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]


class Reference:
    """The outputs of a module in evaluation mode for its example inputs.

    Args:
        module: The caller's module.
        new_copy: Returns a copy of it in evaluation mode.
        example: The inputs.

    Attributes:
        copy: The copy that was run; None if that has changed it.
        changes_its_input: Whether the module works on an input in place.

    Raises:
        ExportError: The module cannot be run, or computes something else each time.
    """

    def __init__(
        self, module: nn.Module, new_copy: Callable[[], nn.Module], example: Example
    ) -> None:
        """Run the module: see the class."""
        copy = new_copy()
        is_half = torch.float16 in {x.dtype for x in (*example.tensors, *copy.parameters())}
        self.tolerance = HALF_TOLERANCE if is_half else TOLERANCE
        self._module = module
        self._new_copy = new_copy
        self.copy: nn.Module | None = None
        try:
            self._run_first(copy, example)
        except ExportError as error:
            if not is_half:
                raise
            # PyTorch lacks some operators in float16 on processors.
            self._new_copy = lambda: _InFloat(new_copy())
            with contextlib.suppress(ExportError):
                self._run_first(self._new_copy(), example)
                self.copy = None
                return
            raise error

    def _run_first(self, copy: nn.Module, example: Example) -> None:
        before = _state(copy)
        with running_code_of(self._module):
            given = example.copy()
            self._expected = [(example, _run(copy, given))]
            self.changes_its_input = any(x._version > 0 for x in given.tensors)
            after = _state(copy)
            if len(before) == len(after) and all(map(_same, before, after)):
                self.copy = copy
            else:
                self._require_the_same(_run(copy, example.copy()))

    def require_repeatable(self) -> None:
        """Check that a fresh copy of the module computes the same outputs again.

        From now on programs are compared for larger inputs too, which exceed the limits of
        clamping activations.

        Raises:
            ExportError: The copy computes something else.
        """
        example, _ = self._expected[0]
        large = example.with_floats(lambda x: LARGE * x)
        copy = self._new_copy()
        with running_code_of(self._module):
            self._require_the_same(_run(copy, example.copy()))
            self._require_the_same(_run(copy, example.copy()))
            if not any(x.is_floating_point() for x in example.tensors):
                return
            outputs = _run(copy, large.copy())
        if all(leaf.isfinite().all() for leaf in outputs if isinstance(leaf, Tensor)):
            self._expected.append((large, outputs))

    def _require_the_same(self, again: list[Any]) -> None:
        difference = disagreement(again, self._expected[0][1], self.tolerance)
        if difference is not None:
            raise ExportError(
                "the network computes something else at every call in evaluation mode "
                f"({difference}), which a program cannot do: remove what is random in the "
                "network, and what it remembers from one call to the next"
            )

    def disagreement(
        self, compute: Callable[[Example], list[Any]], only_example: bool = False
    ) -> str | None:
        """Say how the outputs of `compute` differ from the module's, for the same inputs.

        Returns None where they agree within the tolerance, or within what rounding makes of
        this module: some deep networks amplify it to more than the tolerance.

        Args:
            compute: Returns the outputs for an example.
            only_example: Do not compare for the larger inputs.
        """
        for example, expected in self._expected[: 1 if only_example else None]:
            difference = computed_disagreement(compute, example, expected, self.tolerance)
            if difference is None:
                continue
            rounding = min(MOST_ROUNDING, ROUNDING_MARGIN * self._rounding_error(example, expected))
            if rounding <= self.tolerance or computed_disagreement(
                compute, example, expected, rounding
            ):
                return difference
        return None

    def _rounding_error(self, example: Example, expected: Sequence[Any]) -> float:
        """Return by how much the module's outputs differ from its outputs in float64.

        The error is a share of each output's largest value. It is 0 if the module does not run in
        float64.
        """
        try:
            with running_code_of(self._module):
                precise = _run(self._new_copy().double(), example.with_floats(Tensor.double))
            pairs = zip(expected, precise, strict=True)
            return max((relative_error(a.double(), b) for a, b in pairs), default=0.0)
        except MemoryError:
            raise
        except Exception:  # the module may not be made for float64
            return 0.0


class _InFloat(nn.Module):
    """Computes in float32 what a network of float16 computes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.float()
        self.training = False

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:  # noqa: ANN401 -- as the network
        args, kwargs = pytree.tree_map_only(Tensor, _float_of_half, (args, kwargs))
        return pytree.tree_map_only(Tensor, _half_of_float, self.network(*args, **kwargs))


def _float_of_half(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.float16 else x


def _half_of_float(x: Tensor) -> Tensor:
    return x.half() if x.dtype == torch.float32 else x


def computed_disagreement(
    compute: Callable[[Example], list[Any]],
    example: Example,
    expected: Sequence[Any],
    tolerance: float,
) -> str | None:
    """Say how the result of `compute` differs from `expected`, or that it fails.

    Returns None if they agree (see `disagreement`), else what follows the name of what was run.
    """
    try:
        actual = compute(example.copy())
    except MemoryError:
        raise
    except Exception as error:
        return f"does not run: {error}"
    difference = disagreement(actual, expected, tolerance)
    return difference and f"does not compute what the network computes: {difference}"


def _run(network: nn.Module, example: Example) -> list[Any]:
    try:
        return outputs_of(network, example)
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"the network does not take an input of {example.kind}"
            f"{_hint(network, example)}: {explained(error, network)}"
        ) from error


def _hint(network: nn.Module, example: Example) -> str:
    dtypes = {x.dtype for x in example.tensors}
    other = {
        dtype_name(weight.dtype)
        for weight in network.parameters()
        if weight.is_floating_point() and weight.dtype not in dtypes
    }
    if not other or not any(x.is_floating_point() for x in example.tensors):
        return ""
    return f" (some of its weights are {', '.join(sorted(other))}: export module.float())"


def _state(network: nn.Module) -> list[object]:
    """Return everything that a call could change in the network.

    That is the attributes, the contents of containers among them, and how often each tensor was
    written to.
    """
    state: list[object] = []
    for part in network.modules():
        for value in vars(part).values():
            held: Sequence[object] = (value,)
            if isinstance(value, dict):
                held = (*value.keys(), *value.values())
            elif isinstance(value, (list, tuple, set)):
                held = tuple(value)
            state += held
            state += (v._version for v in held if isinstance(v, Tensor) and not v.is_inference())
    return state


def _same(old: object, new: object) -> bool:
    return old is new or (type(old) is type(new) is int and old == new)


def disagreement(actual: Sequence[Any], expected: Sequence[Any], tolerance: float) -> str | None:
    """Say how the outputs `actual` differ from `expected`; return None if they agree.

    Values agree within `tolerance` of the largest finite value of their output, which counts
    as 1 if it is 0 or subnormal in float32, because kernels may flush such values to 0. NaN
    agrees with NaN, and infinity with infinity.
    """
    if len(actual) != len(expected):
        return f"it has {len(actual)} outputs, not {len(expected)}"
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        difference = _difference(one, other, tolerance)
        if difference is not None:
            return f"output {index} {difference}"
    return None


def _difference(actual: Any, expected: Any, tolerance: float) -> str | None:  # noqa: ANN401
    if not isinstance(actual, Tensor) or not isinstance(expected, Tensor):
        return None if actual is expected or actual == expected else f"is {actual}, not {expected}"
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        kinds = [f"{tuple(t.shape)} in {dtype_name(t.dtype)}" for t in (actual, expected)]
        return f"is {kinds[0]}, not {kinds[1]}"
    if not expected.is_floating_point():
        share = float((actual != expected).double().mean()) if expected.numel() else 0.0
        return f"differs in {share:.1%} of its values" if share else None
    actual, expected = actual.double(), expected.double()
    finite = expected.isfinite()
    if not torch.equal(actual.isfinite(), finite) or not torch.equal(
        actual[~finite].nan_to_num(), expected[~finite].nan_to_num()
    ):
        return "is NaN or infinite in other places"
    error = relative_error(actual, expected)
    return f"differs by {error:.3g} of its largest value" if error > tolerance else None


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return the largest error, as a share of the largest finite value expected."""
    finite = expected.isfinite()
    if not finite.any():
        return 0.0
    largest = float(expected[finite].abs().max())
    scale = largest if largest >= torch.finfo(torch.float32).tiny else 1.0
    return float((actual - expected)[finite].abs().max()) / scale
