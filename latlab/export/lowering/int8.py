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

from latlab.export.execution.example import Example
from latlab.export.lowering.repairs import operators_listed_once


def quantize(module: nn.Module, calibration: Sequence[Example]) -> nn.Module:
    """Return a quantized module, which `stock.lower` takes.

    Args:
        module: A module in evaluation mode.
        calibration: At least one example; all are of one kind.
    """
    quantizer = XNNPACKQuantizer().set_global(
        get_symmetric_quantization_config(is_per_channel=True)
    )
    with operators_listed_once():
        first = calibration[0]
        graph = torch.export.export(module, first.args, dict(first.kwargs)).module()
        observed = prepare_pt2e(graph, quantizer)
        with torch.no_grad():
            for example in calibration:
                observed(*example.args, **example.kwargs)
        quantized: nn.Module = convert_pt2e(observed)
    return quantized
