"""Remarks about a program, beside its latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.kernel import PORTABLE
from latlab.domain.precision import left_in_float
from latlab.domain.program import Program
from search.cli.session import Session
from search.latency.networks import kernels_of
from search.space.architecture import Architecture

_OUTSIDE = (PORTABLE, "delegate:")  # how the kinds of kernels that XNNPACK does not run begin


def on_networks(opened: Session, networks: Mapping[str, Architecture | Program]) -> Iterator[str]:
    """Yield remarks on networks, which are given by their names."""
    dtypes: set[str] = set()
    for name, network in networks.items():
        kernels = kernels_of(network, opened.deployment)
        if isinstance(network, Program):
            _, _, note = network.exporter.partition(", ")  # "calibrated on 4 random inputs", say
            if note:
                yield f"{name}: {note}"
        outside = [k.kind for k in kernels if k.kind.startswith(_OUTSIDE)]
        if outside:
            operators = dict.fromkeys(kind.partition(":")[2] for kind in outside)
            yield f"{name}: XNNPACK does not run {', '.join(operators)}, which may be slow"
        is_int8 = any(kernel.dtype.startswith("q") for kernel in kernels)
        floats = [kind for kind in left_in_float(kernels) if kind not in outside]
        if is_int8 and floats:
            yield f"{name}: XNNPACK leaves {', '.join(floats)} in floating point"
        dtypes |= {kernel.dtype for kernel in kernels}
    if "float16" in dtypes and not _has_fast_fp16(opened):
        yield f"{opened.target.name} has no fast float16: it may take longer than float32"


def on_estimates(estimates: Mapping[str, LatencyEstimate]) -> Iterator[str]:
    """Yield remarks on predictions, which are given by their networks' names."""
    guessed = {name: each.unknown_kinds for name, each in estimates.items() if each.unknown_kinds}
    for name, kinds in guessed.items():
        yield f"{name}: never measured on this target, so guessed: {', '.join(kinds)}"
    if guessed:
        needed = " ".join(f"--for {name}" for name in guessed)
        yield f"measure what is missing: latlab calibrate {needed}"
    if any(each.source is Source.TRANSFER for each in estimates.values()):
        yield (
            "transfer: little was measured on this target, so its predictions are mostly those of"
            " the lab's other targets (latlab calibrate)"
        )


def _has_fast_fp16(opened: Session) -> bool:
    """Return False if a device of the target reports that it lacks the instructions."""
    statuses = opened.client.devices()
    devices = [s.device for s in statuses if s.device and opened.target.name in s.targets]
    return all(device.fast_fp16 is not False for device in devices)
