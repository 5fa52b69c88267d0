"""int8.*: MnasNet-A1 in int8: its latency beside float32's, and its outputs beside stock's."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from latlab.domain.precision import Precision
from latlab.export import export_program
from latlab.export.lowering.proof import run
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.network import build_network
from search.space.zoo import ZOO
from tests.bench.bench_agent import bare_visit_ns
from tests.bench.figures import exactly, quick, report

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPE = DEFAULT_DEPLOYMENT.input_shape
VISIT_PAIRS = 20
COMPARED_INPUTS = 20
CALIBRATION_INPUTS = 4


def main() -> None:
    torch.set_num_threads(1)
    network = build_network(ZOO["mnasnet-a1"], seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    calibration = [torch.randn(SHAPE, generator=generator) for _ in range(CALIBRATION_INPUTS)]
    _, float32 = export_program(network, SHAPE)
    _, int8 = export_program(network, SHAPE, Precision.INT8, calibration)
    latency(float32, int8)
    outputs(int8, stock_int8(network, calibration))


def latency(float32: bytes, int8: bytes) -> None:
    """Compare latencies by the bare runner, with alternating visits."""
    shape = "x".join(map(str, SHAPE))
    pairs = quick(VISIT_PAIRS, least=4)
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder) / "float32.pte", Path(folder) / "int8.pte"
        for program, data in zip(programs, (float32, int8), strict=True):
            program.write_bytes(data)
        visits = []
        for turn in range(pairs):
            order = programs if turn % 2 else programs[::-1]
            ns = {program: bare_visit_ns(program, shape, cpu=1) for program in order}
            visits.append([ns[program] for program in programs])
    float32_ns, int8_ns = (statistics.median(column) for column in zip(*visits, strict=True))
    ratio = statistics.median(of_int8 / of_float32 for of_float32, of_int8 in visits)
    report(
        "int8.a1_ratio",
        round(ratio, 4),
        "ratio",
        None,
        visit_pairs=pairs,
        float32_ms=round(float32_ns / 1e6, 3),
        int8_ms=round(int8_ns / 1e6, 3),
        int8_mb=round(len(int8) / 1e6, 2),
        float32_mb=round(len(float32) / 1e6, 2),
    )


def outputs(ours: bytes, stock: bytes) -> None:
    """Compare the outputs of both int8 programs for random inputs."""
    count = quick(COMPARED_INPUTS, least=4)
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(SHAPE, generator=generator) for _ in range(count)]
    pairs = [(run(ours, x), run(stock, x)) for x in inputs]
    equal = sum(torch.equal(of_ours, of_stock) for of_ours, of_stock in pairs)
    largest = max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)
    report(
        "int8.a1_outputs_equal",
        equal / count,
        "share",
        exactly(1),
        inputs=count,
        largest_difference=round(largest, 4),
    )


def stock_int8(network: nn.Module, calibration: Sequence[Tensor]) -> bytes:
    """Return the int8 program that ExecuTorch's documentation makes of a network."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    configuration = get_symmetric_quantization_config(is_per_channel=True)
    graph = torch.export.export(network, (calibration[0],)).module()
    observed = prepare_pt2e(graph, XNNPACKQuantizer().set_global(configuration))
    with torch.no_grad():
        for x in calibration:
            observed(x)
    exported = torch.export.export(convert_pt2e(observed), (calibration[0],))
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    return bytes(edge.to_executorch().buffer)


if __name__ == "__main__":
    main()
