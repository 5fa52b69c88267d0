"""A search as `latlab search` runs it: calibrate, search, measure, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from host.cli.console import console, milliseconds, progress_bar
from host.home.paths import LabHome
from latlab.client.connection.environment import address_elsewhere
from latlab.domain.benchmark_spec import BenchmarkSpec
from search.accuracy.sources import OpenedSource, open_source
from search.cli.accuracy_options import as_before, surrogate_settings
from search.cli.calibration_run import run_calibration
from search.cli.report import show_report
from search.cli.search_targets import measured_reference_ns, search_targets
from search.cli.session import Session, lab_on, sessions
from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.limits import excess, share_within
from search.space.space import SPACES, Space
from search.strategies.warm_start import ZOO_NAME, networks_to_start_with
from search.study.settings import (
    AccuracySource,
    CalibrationSettings,
    Limits,
    LoopSettings,
    PPOSettings,
    Reward,
    StrategyChoice,
    StrategyName,
    StudySettings,
    choose_strategy,
    recorded_choice,
)
from search.study.study import SETTINGS, OpenStudy, open_study, read_settings, study_folder

if TYPE_CHECKING:
    from search.loop import Progress

# The search takes a target for away after so long without a visit. Other jobs on the device,
# sentinels and cooling take less time.
PATIENCE_S = 600.0


@dataclass(frozen=True)
class SearchRequest:
    """A search that the user asks for.

    Attributes:
        study: Name of the study.
        runs: The folder of studies.
        seed: Seed of everything that is drawn.
        warm_start: "zoo", the name of another study, or None.
        targets: Ids or names of targets; None stands for the default target.
        target_latencies_ms: Wanted latency on each target; None for the default.
        weights: Weight of each target; None if the worst target counts.
        deployment: The form of deployed networks.
        space: Name of the search space.
        strategy: What proposes candidates; None for what suits the number of candidates.
        ppo: Settings of PPO.
        surrogate: Whether to use a surrogate of accuracy; None for the default.
        reward: How accuracy and latency become one number.
        loop: How far to search and how much to measure.
        round_size: Number of candidates in a round; None for the strategy's default.
        calibration: What to measure before the search.
        priority: Priority of the measurements.
        limits: What a candidate may have at most.
        accuracy: Where accuracies come from.
        proxy_resolution: Resolution of the proxy task; None for the default, or for its own in a
            study that exists.
    """

    study: str
    runs: Path
    seed: int
    warm_start: str | None
    targets: Sequence[str] | None
    target_latencies_ms: Sequence[float] | None
    weights: Sequence[float] | None
    deployment: Deployment
    space: Enum
    strategy: StrategyName | None
    ppo: PPOSettings
    surrogate: bool | None
    reward: Reward
    loop: LoopSettings
    round_size: int | None
    calibration: CalibrationSettings
    priority: int
    limits: Limits
    accuracy: AccuracySource
    proxy_resolution: int | None


def run(request: SearchRequest) -> None:
    """Search as asked, or resume the study of that name, and show its report."""
    folder = study_folder(request.runs, request.study)
    space = SPACES[request.space.value]
    if request.warm_start is not None and request.warm_start != ZOO_NAME:
        study_folder(request.runs, request.warm_start)
    with sessions(
        request.targets or (),
        BenchmarkSpec.for_search(),
        priority=request.priority,
        patience_s=PATIENCE_S,
        deployment=request.deployment,
    ) as opened:
        _show_share_within(space, request)
        choice = _strategy_choice(request, folder, len(opened))
        warm_start = _networks_to_start_with(space, request, choice.round_size)
        accuracy = as_before(request.accuracy, folder, request.proxy_resolution)
        source = open_source(accuracy, space, folder / "training")
        console.print(f"Accuracy: {source.note}.")
        settings = _settings(request, choice, folder, opened, source)
        with open_study(folder, settings) as study:
            _search(study, opened, source, request, warm_start)
            show_report(study)


def _strategy_choice(request: SearchRequest, folder: Path, targets: int) -> StrategyChoice:
    """Return what proposes candidates; a study that exists keeps what is not given."""
    given = request.strategy, request.round_size
    if (folder / SETTINGS).is_file():
        return recorded_choice(read_settings(folder), *given)
    choice = choose_strategy(*given, rounds=request.loop.rounds, targets=targets)
    console.print(f"Strategy: {choice.strategy.value}, {choice.round_size} candidates a round.")
    return choice


def _settings(
    request: SearchRequest,
    choice: StrategyChoice,
    folder: Path,
    opened: Sequence[Session],
    source: OpenedSource,
) -> StudySettings:
    space = SPACES[request.space.value]

    def reference_ns(on_target: Session) -> int:
        # The calibration begins with the reference. Alone, it would leave the device idle.
        run_calibration(on_target, space, request.calibration.networks)
        return measured_reference_ns(on_target)

    targets = search_targets(
        folder, request.target_latencies_ms or (), request.weights or (), opened, reference_ns
    )
    settings = StudySettings(
        space=request.space.value,
        strategy=choice.strategy,
        targets=targets,
        accuracy=source.settings,
        reward=request.reward,
        deployment=request.deployment,
        round_size=choice.round_size,
        seed=request.seed,
        limits=request.limits,
        warm_start=request.warm_start,
        ppo=request.ppo,
        separate_targets=choice.separate_targets,
        surrogate=surrogate_settings(request.surrogate, folder, source.settings),
    )
    for on_target, target in zip(opened, targets, strict=True):
        wanted = milliseconds(target.latency_ns)
        console.print(f"Target latency on {on_target.target.name}: {wanted}.")
    return settings


def _search(
    study: OpenStudy,
    opened: Sequence[Session],
    source: OpenedSource,
    request: SearchRequest,
    warm_start: Sequence[Architecture],
) -> None:
    # PyTorch and its dependencies take seconds to import, which other errors need not wait for.
    from search.loop import run_search
    from search.strategies.strategy import make_strategy
    from search.surrogate.screening import screened

    settings = study.settings
    space, limits = SPACES[settings.space], settings.limits.by_quantity()
    if study.rounds:
        console.print(f"Resuming: {len(study.rounds)} rounds are finished.")
    for on_target in opened:
        run_calibration(on_target, space, request.calibration.networks)
    strategy = make_strategy(
        settings.strategy,
        space,
        settings.seed,
        allows=lambda a: not excess(a, limits, deployment=settings.deployment),
        ppo=settings.ppo,
        separate_targets=len(settings.targets) if settings.separate_targets else 0,
    )
    lab = lab_on(opened, settings.targets)
    loop = replace(request.loop, overlaps=True)
    with progress_bar() as bar, _between_visits():
        run_search(
            study,
            screened(strategy, study, space, lab.predict),
            source.accuracy,
            lab,
            loop,
            warm_start=warm_start,
            on_progress=_drawn_on(bar),
            on_note=bar.console.print,
        )


def _between_visits() -> AbstractContextManager[None]:
    """Let the search work between the visits of this machine's own lab, not during them."""
    if address_elsewhere() is not None:
        return nullcontext()
    from host.home import lab_process  # a lab needs Linux, a search of a lab elsewhere does not
    from latlab.common.turns.sharing import sharing_machine

    home = LabHome.from_environment()
    home.create()
    return sharing_machine(home.root, spared=lab_process.process_id(home))


def _show_share_within(space: Space, request: SearchRequest) -> None:
    if limits := request.limits.by_quantity():
        share = share_within(space, limits, deployment=request.deployment)
        console.print(
            f"Limits: {share:.1%} of random networks are within them. Larger candidates are made "
            "smaller."
        )


def _networks_to_start_with(space: Space, request: SearchRequest, count: int) -> list[Architecture]:
    """Return the networks of the warm start, at most `count` of a study, and report them."""
    name = request.warm_start
    if name is None:
        return []
    networks, outside = networks_to_start_with(name, space, request.runs, count)
    console.print(f"Warm start: {len(networks)} networks of {name}.")
    if outside:
        console.print(f"Not in the space {space.name}: {', '.join(outside)}.")
    return networks


def _drawn_on(bar: ProgressBar) -> Callable[[Progress], None]:
    """Return a function that draws each activity of each round as a line of a progress bar."""
    tasks: dict[str, TaskID] = {}

    def draw(progress: Progress) -> None:
        where = {None: "the front", 0: "warm start"}.get(progress.round, f"round {progress.round}")
        label = f"{where}: {progress.activity}"
        if label not in tasks:
            tasks[label] = bar.add_task(label, total=progress.total)
        bar.update(tasks[label], completed=progress.done, total=progress.total)

    return draw
