"""Quantize modules to int8 after training, as XNNPACK computes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from latlab.domain.errors import ExportError
from latlab.export.execution.causes import explained
from latlab.export.execution.example import Example, Inputs, example_of
from latlab.export.lowering import stock
from latlab.export.lowering.repairs import operators_listed_once

RANDOM_CALIBRATIONS = 4


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
        with operators_listed_once():
            observed = prepare_pt2e(stock.traced(network, calibration[0]).module(), quantizer)
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
