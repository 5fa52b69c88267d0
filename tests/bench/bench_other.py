"""predict_other.within_10pct: predictions of published networks outside the space.

The predictor is fitted on networks of the space and on probes, on the lab's default target.
Networks that were not measured yet are measured first.

python -m tests.bench.bench_other [TRAIN]: the number of networks of the space, by default 60.
"""

from __future__ import annotations

import sys
from functools import partial

from torch import nn

from latency_models.kernel_predictor import KernelPredictor
from latency_models.packing import pack
from latlab.domain.errors import UnknownKernelKinds
from latlab.domain.kernel import Shape
from latlab.export import ExportSpec
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.latency.probes import probe_specs
from search.space.space import mnasnet_space
from tests.bench.figures import at_least, report
from tests.bench.real_lab import real_lab
from tests.networks import INPUT_SHAPE, NETWORKS, build


def _make(name: str) -> tuple[nn.Module, Shape]:
    return build(name), INPUT_SHAPE


def main() -> None:
    train_size = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    # The first network is the reference, which is one of those to predict.
    of_the_space = random_networks(mnasnet_space(), 1 + train_size)[1:]
    train_specs = [*map(export_spec, of_the_space), *probe_specs()]
    other_specs = [
        ExportSpec(f"{name}, input {INPUT_SHAPE}", partial(_make, name)) for name in NETWORKS
    ]
    with real_lab() as opened:
        train = [network for network in opened.measured(train_specs) if network]
        measured = dict(zip(NETWORKS, opened.measured(other_specs), strict=True))
    predictor = KernelPredictor.fit(train)
    each: dict[str, object] = {}
    errors = []
    for name, network in measured.items():
        if network is None:
            each[name] = "not measured"
            continue
        network = predictor.steadying(network)
        try:
            [estimate] = predictor.predict(*pack([network.kernels]), network.unix_ns)
        except UnknownKernelKinds as error:
            each[name] = str(error)
            continue
        errors.append(estimate.latency_ns / network.latency_ns - 1)
        each[name] = {
            "measured_ms": round(network.latency_ns / 1e6, 3),
            "predicted_ms": round(estimate.latency_ns / 1e6, 3),
            "interval_ms": [round(ns / 1e6, 3) for ns in (estimate.lower_ns, estimate.upper_ns)],
            "error_pct": round(100 * errors[-1], 1),
            "coverage": round(estimate.coverage, 2),
        }
    report(
        "predict_other.within_10pct",
        sum(abs(error) <= 0.1 for error in errors) / len(NETWORKS),
        "share",
        at_least(5 / 6),
        target=opened.target.name,
        measured_networks_of_the_space=train_size,
        probes=len(train_specs) - train_size,
        learned_from=len(train),
        each=each,
    )


if __name__ == "__main__":
    main()
