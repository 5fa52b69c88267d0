"""Quantize modules to int8 after training, as XNNPACK computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torch import Tensor, fx, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from latlab.domain.errors import ExportError
from latlab.export.execution.causes import explained
from latlab.export.execution.checking import relative_error
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.lowering import stock
from latlab.export.lowering.repairs import operators_listed_once, origins_shared

RANDOM_CALIBRATIONS = 4
# By how much of an output's largest value a program may differ from the quantized network. It
# rounds otherwise, which adds up to 0.01 to 0.12 in most untrained MnasNets. A network that
# amplifies rounding errors amplifies those of its quantization too: the program differs by 0.2 to
# 1.1 times as much as the quantized network differs from the network. Unrelated outputs differ by
# more than the most.
TOLERANCE, MOST_TOLERANCE = 0.3, 0.9
MARGIN = 2.0
_OF_SCALARS = {
    torch.ops.aten.add.Tensor: torch.ops.aten.add.Scalar,
    torch.ops.aten.mul.Tensor: torch.ops.aten.mul.Scalar,
}


def calibration_of(module: nn.Module, example: Example, given: Sequence[Inputs]) -> list[Example]:
    """Return the inputs to calibrate with: the given ones, else those of the example.

    Where the example is random, more random ones are added.

    Raises:
        ExportError: A given input is not like the example.
    """
    if not given:
        seeds = range(1, RANDOM_CALIBRATIONS) if example.is_random else ()
        return [example, *map(example.redrawn, seeds)]
    examples = [example_of(module, each) for each in given]
    for each in examples:
        if each.kind != example.kind:
            raise ExportError(
                f"an input for calibration is {each.kind}, and the network's is {example.kind}: "
                "give inputs of the same shape and dtype"
            )
    return examples


def quantize(network: nn.Module, calibration: Sequence[Example]) -> nn.Module:
    """Return a quantized network, which `stock.lower` takes.

    Args:
        network: A network in evaluation mode.
        calibration: At least one example; all are of one kind.

    Raises:
        ExportError: The network cannot be quantized.
    """
    quantizer = XNNPACKQuantizer().set_global(
        get_symmetric_quantization_config(is_per_channel=True)
    )
    try:
        with operators_listed_once(), origins_shared():
            traced = stock.traced(network, calibration[0]).module()
            _keep_integers(traced)
            observed = prepare_pt2e(traced, quantizer)
            with torch.no_grad():
                for example in calibration:
                    observed(*example.args, **example.kwargs)
            quantized: nn.Module = convert_pt2e(observed)
    except MemoryError:
        raise
    except Exception as error:
        raise ExportError(
            f"the network cannot be quantized to int8: {explained(error, network)}"
        ) from error
    return quantized


def tolerance(quantized: Sequence[Any], exact: Sequence[Any]) -> float:
    """Return by how much a program may differ from the quantized network it was made of.

    Args:
        quantized: The outputs of the quantized network.
        exact: Those of the network, for the same inputs.

    Returns:
        A share of each output's largest value.
    """
    pairs = zip(quantized, exact, strict=True)
    floats = (pair for pair in pairs if all(map(_is_float, pair)))
    error = max((relative_error(a.double(), b.double()) for a, b in floats), default=0.0)
    return max(TOLERANCE, min(MOST_TOLERANCE, MARGIN * error))


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _keep_integers(traced: fx.GraphModule) -> None:
    """Keep the scalars of integer arithmetic, such as that of positions, integers.

    The quantizer makes each scalar of an add.Tensor or mul.Tensor a float tensor. The result
    would be floats, which cannot be indices.
    """
    for node in traced.graph.nodes:
        value = node.meta.get("val")
        scalar = _OF_SCALARS.get(node.target)
        takes_scalar = len(node.all_input_nodes) == 1 and len(node.args) > 1
        if scalar and takes_scalar and not value.is_floating_point():
            node.target = scalar
    traced.recompile()
