"""Networks that can be measured, and how they become programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from latlab.domain.errors import ExportError
from latlab.domain.kernel import Kernel, Shape
from latlab.domain.program import Program, ProgramFile
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
    return ExportSpec(
        f"architecture {architecture.id}, {deployment.classes} classes, "
        f"input {deployment.input_shape}{deployment.in_precision}",
        partial(_make, architecture, deployment),
        deployment.precision,
    )


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
) -> list[Architecture | Program]:
    """Return the networks in a form that has kernels: users' modules are exported for that.

    Raises:
        ExportError: A module cannot be exported. The message names it.
    """
    others = [network for network in networks if not isinstance(network, Architecture)]
    files = iter(export_all(pool, others, deployment))
    return [n if isinstance(n, Architecture) else next(files).program for n in networks]


def kernels_of(network: Architecture | Program, deployment: Deployment) -> tuple[Kernel, ...]:
    """Return the kernels of a network. They follow from an architecture."""
    return network.kernels if isinstance(network, Program) else _kernels(network, deployment)


def _make(architecture: Architecture, deployment: Deployment) -> tuple[nn.Module, Shape]:
    # This runs in an export worker, so that no other process imports torch.
    from search.space.network import build_network

    network = build_network(architecture, classes=deployment.classes, seed=0)
    return network, deployment.input_shape
