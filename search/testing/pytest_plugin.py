"""The fixture `latlab_compare` for pytest, which fails a test where a network has become slower.

Pytest loads this module in every environment that has Latency Lab, so it imports nothing else
before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from latlab.client.client import LatencyClient
    from latlab.domain.program import ProgramFile
    from latlab.export import ExportPool, Inputs, Module
    from search.cli.networks.gate_report import GateReport

    # A network as the command line names it, or a module with its example inputs.
    Named = str | tuple[Module, Inputs]

REQUIRED = "--latlab-required"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that fails tests where no lab runs."""
    group = parser.getgroup("latlab", "Latency Lab")
    group.addoption(
        REQUIRED,
        action="store_true",
        help="fail tests that use latlab_compare if no lab runs, instead of skipping them",
    )


@pytest.fixture
def latlab_compare(request: pytest.FixtureRequest) -> Iterator[Callable[..., GateReport]]:
    """Compare a new network with an old one, as `latlab compare --max-ratio` does.

    The fixture is a function. It fails the test if the new network is slower than the limit allows,
    if that is undecided, or if one of them cannot be measured, and returns the report otherwise.
    The test is skipped if no lab runs, or fails with the option --latlab-required.

    """
    with ExitStack() as stack:
        client = _client(stack, is_required=request.config.getoption(REQUIRED))

        def compare(
            old: Named | None,
            new: Named,
            *,
            max_ratio: float = 1.03,
            max_minutes: float = 5.0,
            baseline: str | None = None,
            target: str | None = None,
        ) -> GateReport:
            """Compare two networks.

            Args:
                old: A network as the command line names it, such as "model.pte"; a tuple of a
                    module and its example inputs; or None where `baseline` is given.
                new: Another one, with the same inputs.
                max_ratio: The limit of new / old.
                max_minutes: How many minutes measuring may take.
                baseline: The name of a baseline that stands for the old network.
                target: The target's id or name; None for the default.
            """
            from latlab.domain.errors import LabError

            if (old is None) == (baseline is None):
                raise ValueError("give either an old network or the name of a baseline")
            try:
                return _compared(
                    client, old, new, (max_ratio, max_minutes), baseline=baseline, target=target
                )
            except LabError as error:
                pytest.fail(f"the networks cannot be compared: {error}", pytrace=False)

        yield compare


def _client(stack: ExitStack, *, is_required: bool) -> LatencyClient:
    from latlab.client.client import LatencyClient
    from latlab.domain.errors import Unavailable

    try:
        client = stack.enter_context(LatencyClient.connect())
        client.targets()
    except Unavailable as error:
        if is_required:
            pytest.fail(f"{REQUIRED} is given: {error}", pytrace=False)
        pytest.skip(f"latlab_compare needs a lab: {error}")
    return client


def _compared(
    client: LatencyClient,
    old: Named | None,
    new: Named,
    limits: tuple[float, float],
    *,
    baseline: str | None,
    target: str | None,
) -> GateReport:
    """Return the report of a comparison. Fails the test unless the new network is not slower."""
    from host.measuring.sequential import Verdict
    from latlab.domain.errors import LabError
    from latlab.domain.failure import Failure
    from latlab.domain.program import program_of
    from search.cli.networks.gate_report import GateReport, kernel_lines
    from search.latency.gate import Limits, Source, check_inputs, run_gate

    found = client.default_target() if target is None else client.find_target(target)
    names = f"baseline {baseline}" if old is None else _name(old, "old"), _name(new, "new")
    with ExitStack() as stack:
        new_source = _program(stack, new)
        old_source: Source = (
            client.baselines.get(str(baseline)) if old is None else _program(stack, old)
        )
        check_inputs(names, program_of(old_source), program_of(new_source))
        result = run_gate(client, found, (old_source, new_source), Limits(*limits))
    if isinstance(result, Failure):
        raise LabError(f"{result.kind.value}: {result.message}")
    report = GateReport(*names, found.name, limits[1], result)
    if result.verdict is not Verdict.NOT_SLOWER:
        lines = [report.sentence(), *report.notes(), *kernel_lines(result.kernels)]
        pytest.fail("\n".join(lines), pytrace=False)
    return report


def _name(network: Named, otherwise: str) -> str:
    return network if isinstance(network, str) else f"the {otherwise} {type(network[0]).__name__}"


def _program(stack: ExitStack, network: Named) -> ProgramFile:
    """Return the program of a network, whose file is kept as long as the stack is open."""
    from latlab.client.modules import exported
    from latlab.domain.precision import Precision
    from search.cli.networks.network_argument import find_network
    from search.latency.networks import export_all
    from search.space.deployment import Deployment

    if not isinstance(network, str):
        return stack.enter_context(exported(*network, Precision.FP32))
    [file] = export_all(_pool(stack), [find_network(network)], Deployment())
    return file


def _pool(stack: ExitStack) -> ExportPool:
    from host.home.paths import LabHome
    from latlab.export import ExportPool, ProgramCache

    return stack.enter_context(ExportPool(ProgramCache(LabHome.from_environment().exports), 1))
