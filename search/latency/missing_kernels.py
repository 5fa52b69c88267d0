"""Find the operators whose measurement tells what a predictor does not know of some networks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import prod

from latency_models.coverage import Neighbourhood
from latlab.domain.errors import InvalidRequest
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ExportSpec
from latlab.export.operators import operators_of
from search.latency.networks import ProgramSource

MAX_OPERATORS = 200  # measured for one command; each takes a second or two


def missing_kernels(kernels: Iterable[Kernel], measured: Iterable[MeasuredNetwork]) -> list[Kernel]:
    """Return the distinct kernels that no measured kernel is near, in the order given."""
    distinct = list(dict.fromkeys(kernels))
    traced = [network.kernels for network in measured if network.kernel_ns is not None]
    near = Neighbourhood.of({kernel for each in traced for kernel in each}).holds(distinct)
    return [kernel for kernel, is_near in zip(distinct, near.tolist(), strict=True) if not is_near]


def operator_programs(
    sources: Sequence[ProgramSource], missing: Collection[Kernel], pool: ExportPool
) -> list[ProgramFile]:
    """Export single operators of networks, and return the programs that have missing kernels.

    Args:
        sources: The networks that have the kernels.
        missing: The kernels.
        pool: Exports the operators.

    Returns:
        At most MAX_OPERATORS programs, in the order in which the networks run the operators.

    Raises:
        ExportError: A network cannot be taken apart.
        InvalidRequest: A network is a program, which has no modules that could be exported.
    """
    sizes = {prod(shape) for kernel in missing for shape in (*kernel.inputs, kernel.output)}
    candidates: dict[str, ExportSpec] = {}
    for source in sources:
        if isinstance(source, ProgramFile):
            raise InvalidRequest(
                f"{source.path} is a program, and its operators cannot be exported alone. Give the"
                " module that it was made of, or measure the program itself (latlab measure)"
            )
        for operator in operators_of(source.make):
            if any(prod(shape) in sizes for shape in operator.shapes):
                spec = ExportSpec(None, operator.make, source.precision)
                candidates.setdefault(operator.name, spec)
    exported = pool.export_all(list(candidates.values()))
    helpful = [
        file
        for file in exported
        if isinstance(file, ProgramFile) and _helps(file.program.kernels, missing)
    ]
    return list({file.program.sha256: file for file in helpful}.values())[:MAX_OPERATORS]


def _helps(kernels: Sequence[Kernel], missing: Collection[Kernel]) -> bool:
    """Return whether a missing kernel is near one of these."""
    return bool(Neighbourhood.of(kernels).holds(list(missing)).any())
