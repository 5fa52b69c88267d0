"""profile.located: the share of time that has a line of the user's code, by export alone.

Each kernel's share of its network's time is a guess from its multiply-adds and elements. The plain
share of kernels is printed beside it. Nothing is measured.

python -m tests.bench.bench_profile_located
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ExportSpec, ProgramCache
from search.latency.networks import export_spec
from search.space.zoo import ZOO
from tests.bench import corpus
from tests.bench.figures import at_least, quick, report

# Rough costs on one core of a desktop processor.
CALL_NS, MULTIPLY_ADD_NS, ELEMENT_NS = 1_000.0, 0.05, 0.3

# Each is lowered in another way or written in another style.
NAMES = (
    "hand-written/two-inputs",
    "hand-written/transformer-encoder",
    "hand-written/unet",
    "hand-written/convolution-1d",
    "hand-written/detector",
    "hand-written/lstm",
    "pytorchcv/mobilenetv3_small_w1",
    "pytorchcv/shufflenetv2_w1",
    "transformers/bert",
)
INT8_NAMES = ("hand-written/two-inputs", "hand-written/unet")


@dataclass(frozen=True)
class Located:
    """One network's shares: of guessed time and of kernels, with the kinds that lack a line."""

    time: float
    kernels: float
    without: Counter[str]


def main() -> None:
    located: dict[str, Located] = {}
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ExportPool(ProgramCache(Path(folder))) as pool:
        names = {spec: name for name, spec in specs().items()}
        for spec, outcome in pool.export_each(names):
            name = names[spec]
            if isinstance(outcome, ExportError):
                refused.append(name)
                print(f"{name}: {outcome}", file=sys.stderr)
                continue
            located[name] = _located(outcome)
            print(f"{name}: {located[name]}", file=sys.stderr)
    report(
        "profile.located",
        round(sum(each.time for each in located.values()) / len(located), 4),
        "share",
        at_least(0.98),
        weights="a guess from multiply-adds and elements",
        networks=len(located),
        refused=refused,
        worst=round(min(each.time for each in located.values()), 4),
        plain=round(sum(each.kernels for each in located.values()) / len(located), 4),
        without_a_line={name: each.without for name, each in located.items() if each.without},
    )


def specs() -> dict[str, ExportSpec]:
    """Return what is exported, by name: the corpus in float32, some of it in int8, and MnasNet."""
    networks = {network.name: network.make for network in corpus.CORPUS}
    wanted = [(name, Precision.FP32) for name in NAMES[: quick(len(NAMES), 2)]]
    wanted += [(name, Precision.INT8) for name in INT8_NAMES[: quick(len(INT8_NAMES))]]
    found = {"mnasnet-a1 fp32": export_spec(ZOO["mnasnet-a1"])}
    for name, precision in wanted:
        title = f"{name} {precision.value}"
        found[title] = ExportSpec(title, networks[name], precision)
    return found


def _located(file: ProgramFile) -> Located:
    kernels = file.program.kernels
    sources: Sequence[object] = [
        source is not None and source.line > 0 for source in file.sources
    ] or [False] * len(kernels)
    costs_ns = [_cost_ns(kernel) for kernel in kernels]
    lines = list(zip(kernels, costs_ns, sources, strict=True))
    return Located(
        time=sum(cost_ns for _, cost_ns, found in lines if found) / sum(costs_ns),
        kernels=sum(bool(found) for _, _, found in lines) / len(lines),
        without=Counter(kernel.kind for kernel, _, found in lines if not found),
    )


def _cost_ns(kernel: Kernel) -> float:
    elements = sum(prod(shape) for shape in (*kernel.inputs, kernel.output))
    return CALL_NS + MULTIPLY_ADD_NS * kernel.multiply_adds + ELEMENT_NS * elements


if __name__ == "__main__":
    main()
