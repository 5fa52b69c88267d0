"""Networks that can be measured, and how they become programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.precision import Precision
from latlab.domain.program import ProgramFile
from latlab.export import ExportPool, ExportSpec
from latlab.export.user_network import UserNetwork
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT, Deployment
from search.space.kernels import kernels

if TYPE_CHECKING:
    from torch import nn

# A network of a space, a program that is measured as it is, or a user's own module.
Network = Architecture | ProgramFile | UserNetwork
# How to get a network's program: export it, or take it.
ProgramSource = ExportSpec | ProgramFile

# A search predicts the same networks again and again.
_kernels: Callable[[Architecture, Deployment], tuple[Kernel, ...]] = cache(kernels)


def program_source(network: Network, deployment: Deployment = DEFAULT_DEPLOYMENT) -> ProgramSource:
    """Return how to get a network's program."""
    if isinstance(network, ProgramFile):
        return network
    if isinstance(network, UserNetwork):
        return ExportSpec(None, network.load, deployment.precision)
    return export_spec(network, deployment)


def export_spec(
    architecture: Architecture, deployment: Deployment = DEFAULT_DEPLOYMENT
) -> ExportSpec:
    """Return the network as it would be deployed, with seeded weights, for export."""
    precision = deployment.precision
    key = (
        f"architecture {architecture.id}, {deployment.classes} classes, "
        f"input {deployment.input_shape}"
    )
    if precision is not Precision.FP32:
        key += f", {precision.value}"
    return ExportSpec(key, partial(_make, architecture, deployment), precision)


def identity(source: ProgramSource) -> object:
    """Return what is equal for sources of the same program."""
    return source.identity if isinstance(source, ExportSpec) else source


def export_each(
    pool: ExportPool, sources: Sequence[ProgramSource]
) -> Iterator[tuple[ProgramSource, ProgramFile | ExportError]]:
    """Yield each distinct source with its program, or with why it cannot be exported."""
    for source in sources:
        if isinstance(source, ProgramFile):
            yield source, source
    yield from pool.export_each(s for s in sources if isinstance(s, ExportSpec))


def export_all(
    pool: ExportPool, networks: Sequence[Network], deployment: Deployment
) -> list[ProgramFile]:
    """Return the program of each network, in input order.

    Raises:
        ExportError: One cannot be exported. The message names it.
    """
    sources = [program_source(network, deployment) for network in networks]
    exports = {identity(source): export for source, export in export_each(pool, sources)}
    programs: list[ProgramFile] = []
    for network, source in zip(networks, sources, strict=True):
        export = exports[identity(source)]
        if isinstance(export, ExportError):
            name = network.reference if isinstance(network, UserNetwork) else "the network"
            raise ExportError(f"{name}: {export}") from export
        programs.append(export)
    return programs


def with_kernels(
    pool: ExportPool, networks: Sequence[Network], deployment: Deployment
) -> list[Architecture | ProgramFile]:
    """Export the networks whose kernels nobody knows before, and return all in input order.

    An architecture in float32 stays as it is: its kernels follow from it.

    Raises:
        ExportError: A network cannot be exported. The message names it.
    """
    is_float32 = deployment.precision is Precision.FP32
    unknown = [n for n in networks if not (isinstance(n, Architecture) and is_float32)]
    programs = iter(export_all(pool, unknown, deployment))
    return [
        network if isinstance(network, Architecture) and is_float32 else next(programs)
        for network in networks
    ]


def kernels_of(network: Architecture | ProgramFile, deployment: Deployment) -> tuple[Kernel, ...]:
    """Return the kernels of a network that `with_kernels` has returned."""
    if isinstance(network, ProgramFile):
        return network.program.kernels
    return _kernels(network, deployment)


def _make(architecture: Architecture, deployment: Deployment) -> tuple[nn.Module, Shape]:
    # This runs in an export worker, so that no other process imports torch.
    from search.space.network import build_network

    network = build_network(architecture, classes=deployment.classes, seed=0)
    return network, deployment.input_shape
