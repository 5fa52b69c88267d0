"""`latlab search`: calibrate, search, measure, report."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from host.cli.console import console, milliseconds, progress_bar, reported
from search.accuracy.sources import by_command, by_table, by_training
from search.cli.calibrate import DEFAULT_NETWORKS, run_calibration
from search.cli.report import DEFAULT_RUNS, RunsOption, show_report
from search.cli.search_options import (
    AccuracyLimitOption,
    EpochsOption,
    MaxDeviceMinutesOption,
    MaxMeasurementsOption,
    MaxMultiplyAddsOption,
    MaxParametersOption,
    MaxSizeOption,
    MeasuredShareOption,
    ProxyImagesOption,
    ResolutionOption,
    StemStrideOption,
    TrainingLimitOption,
    WidthOption,
)
from search.cli.session import MOST_SEED, PriorityOption, sessions
from search.cli.targets import (
    TargetLatenciesOption,
    TargetsOption,
    WeightsOption,
    lab_of,
    targets_ns,
)
from search.latency.calibration import CANDIDATES
from search.space.architecture import Architecture
from search.space.limits import excess, share_within
from search.space.space import SPACES, Space
from search.strategies.warm_start import ZOO_NAME, networks_to_start_with
from search.study.ppo_settings import DEFAULTS, PPOSettings
from search.study.reward import ABSOLUTE_BETA, HARD, SOFT
from search.study.settings import StrategyName, StudySettings
from search.study.study import open_study, study_folder

if TYPE_CHECKING:
    from search.loop import Progress


class RewardName(str, Enum):
    SOFT = "soft"
    HARD = "hard"
    ABSOLUTE = "absolute"


EXPONENTS = {
    RewardName.SOFT: SOFT,
    RewardName.HARD: HARD,
    RewardName.ABSOLUTE: (0.0, ABSOLUTE_BETA),
}


SpaceName = Enum("SpaceName", {name: name for name in SPACES}, type=str)  # type: ignore[misc]
DEFAULT_SPACE = SpaceName("mnasnet")

# What only counts beside another option: that option's name, and theirs, as parameters.
OPTIONS_OF = {
    "table": ("table_column", "table_fit"),
    "accuracy_command": ("accuracy_limit_s",),
}

# Without any visit for so long the search takes the target for away. Others' turns, sentinels
# and cooling keep it waiting for shorter.
PATIENCE_S = 600.0


def search(
    context: typer.Context,
    study: Annotated[str, typer.Option(help="Its name; an interrupted one goes on.")] = "first",
    targets: TargetsOption = None,
    target_latencies_ms: TargetLatenciesOption = None,
    weights: WeightsOption = None,
    space: Annotated[SpaceName, typer.Option(help="What is searched.")] = DEFAULT_SPACE,
    strategy: Annotated[StrategyName, typer.Option(help="What proposes.")] = StrategyName.PPO,
    ppo: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help=f"A setting of PPO's, repeatable: {DEFAULTS}."),
    ] = None,
    reward: Annotated[
        RewardName, typer.Option(help="The paper's two, or TuNAS's.")
    ] = RewardName.SOFT,
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help="Of searching, in all.")] = 4,
    round_size: Annotated[int, typer.Option(min=1, max=100_000, help="Candidates a round.")] = 16,
    measured_share: MeasuredShareOption = 1 / 3,
    max_measurements: MaxMeasurementsOption = None,
    max_device_minutes: MaxDeviceMinutesOption = None,
    max_params_m: MaxParametersOption = None,
    max_madds_m: MaxMultiplyAddsOption = None,
    max_size_mb: MaxSizeOption = None,
    calibration: Annotated[
        int,
        typer.Option(min=4, max=CANDIDATES, help="Networks measured before the search."),
    ] = DEFAULT_NETWORKS,
    dataset: Annotated[
        str,
        typer.Option(help="digits, fashion-mnist[:DIR], an .npz, an image folder; auto."),
    ] = "auto",
    train_images: ProxyImagesOption = 2048,
    val_images: ProxyImagesOption = 1024,
    resolution: ResolutionOption = 32,
    width: WidthOption = 0.25,
    stem_stride: StemStrideOption = 1,
    epochs: EpochsOption = 2,
    training_limit_s: TrainingLimitOption = 300.0,
    table: Annotated[
        Path | None,
        typer.Option(help="A CSV file of the space's networks: accuracy by it, not by training."),
    ] = None,
    table_column: Annotated[str, typer.Option(help="Of its accuracies.")] = "accuracy",
    table_fit: Annotated[
        bool, typer.Option(help="Fit boosted trees on it, or only look networks up.")
    ] = True,
    accuracy_command: Annotated[
        str | None,
        typer.Option(
            help="A program of yours instead: it reads an architecture as JSON, and the last"
            " line it prints is the accuracy, from 0 to 1."
        ),
    ] = None,
    accuracy_limit_s: AccuracyLimitOption = 3600.0,
    warm_start: Annotated[
        str | None,
        typer.Option(help="Begin with the zoo's networks (zoo), or a study's best (its name)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of everything random.")] = 0,
    priority: PriorityOption = 0,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Search for networks that are accurate and fast on a target, measured on the device.

    Each round the strategy proposes candidates; a short training, a table or a program of
    yours gives their accuracy, the lab predicts their latency and measures the most promising.
    The front is drawn from measurements alone. Interrupted, the same command goes on where it
    stopped.
    """
    # PyTorch and its kin take seconds to import: only those who search wait for them.
    from search.accuracy.proxy_training import ProxyBudget
    from search.loop import LoopSettings, run_search
    from search.strategies.strategy import make_strategy

    with reported(ValueError):
        ppo_settings = PPOSettings.parsed(ppo or [])
        if ppo and strategy is not StrategyName.PPO:
            raise ValueError(f"--ppo has no effect on --strategy {strategy.value}: leave it out")
        if table is not None and accuracy_command is not None:
            raise ValueError("accuracy comes from --table or --accuracy-command, not from both")
        _check_effect(context)
    folder = study_folder(runs, study)
    if warm_start is not None and warm_start != ZOO_NAME:
        study_folder(runs, warm_start)
    with sessions(targets or [], priority=priority, patience_s=PATIENCE_S) as opened:
        budget = ProxyBudget(
            train_images=train_images,
            val_images=val_images,
            resolution=resolution,
            epochs=epochs,
            width_multiplier=width,
            stem_stride=stem_stride,
            seed=seed,
            limit_s=training_limit_s,
        )
        searched = SPACES[space.value]
        limits = _limits(max_params_m, max_madds_m, max_size_mb)
        if limits:
            share = share_within(searched, limits)
            console.print(
                f"Within the limits: {share:.1%} of random networks; others are made smaller."
            )
        started = _started(warm_start, searched, runs, round_size)
        if table is not None:
            judged = by_table(table, table_column, table_fit, searched)
        elif accuracy_command is not None:
            judged = by_command(accuracy_command, accuracy_limit_s)
        else:
            judged = by_training(dataset, budget, folder / "training")
        console.print(f"Accuracy: {judged.note}.")
        first_ns, *more_ns = targets_ns(folder, target_latencies_ms or [], opened)
        alpha, beta = EXPONENTS[reward]
        settings = StudySettings(
            space=searched.name,
            strategy=strategy.value,
            target_id=opened[0].target.id,
            target_ns=first_ns,
            accuracy=judged.described,
            alpha=alpha,
            beta=beta,
            round_size=round_size,
            seed=seed,
            absolute=reward is RewardName.ABSOLUTE,
            limits=limits,
            warm_start=warm_start,
            more_target_ids=[on_target.target.id for on_target in opened[1:]],
            more_targets_ns=more_ns,
            weights=weights or [],
            ppo=ppo_settings.changed(),
        )
        for on_target, target_ns in zip(opened, (first_ns, *more_ns), strict=True):
            console.print(f"Target latency on {on_target.target.name}: {milliseconds(target_ns)}.")
        with open_study(folder, settings) as opened_study:
            if opened_study.rounds:
                console.print(f"Going on: {len(opened_study.rounds)} rounds are finished.")
            for on_target in opened:
                run_calibration(on_target, searched, calibration)
            with progress_bar() as bar:
                run_search(
                    opened_study,
                    make_strategy(
                        strategy,
                        searched,
                        seed,
                        allows=lambda a: not excess(a, limits),
                        ppo=ppo_settings,
                    ),
                    judged.accuracy,
                    lab_of(opened, settings),
                    LoopSettings(
                        rounds=rounds,
                        max_measured_share=measured_share,
                        max_measurements=max_measurements,
                        max_device_minutes=max_device_minutes,
                    ),
                    warm_start=started,
                    on_progress=_drawn_on(bar),
                    on_note=bar.console.print,
                )
            show_report(opened_study)


def _check_effect(context: typer.Context) -> None:
    """Raises ValueError for an option that says something of another which is missing."""
    for needed, options in OPTIONS_OF.items():
        for option in options:
            source = context.get_parameter_source(option)
            if source is not None and source.name == "COMMANDLINE" and not context.params[needed]:
                named, missing = (f"--{name.replace('_', '-')}" for name in (option, needed))
                raise ValueError(f"{named} has no effect without {missing}: leave it out")


def _limits(
    parameters_m: float | None, multiply_adds_m: float | None, program_mb: float | None
) -> dict[str, int]:
    in_millions = {
        "parameters": parameters_m,
        "multiply_adds": multiply_adds_m,
        "program_bytes": program_mb,
    }
    return {name: round(most * 1e6) for name, most in in_millions.items() if most is not None}


def _started(name: str | None, space: Space, runs: Path, count: int) -> list[Architecture]:
    """Raises StudyError."""
    if name is None:
        return []
    networks, outside = networks_to_start_with(name, space, runs, count)
    console.print(f"Warm start: {len(networks)} networks of {name}.")
    if outside:
        console.print(f"Not in {space.name}: {', '.join(outside)}.")
    return networks


def _drawn_on(bar: ProgressBar) -> Callable[[Progress], None]:
    tasks: dict[str, TaskID] = {}

    def draw(progress: Progress) -> None:
        where = {None: "the front", 0: "warm start"}.get(progress.round, f"round {progress.round}")
        label = f"{where}: {progress.activity}"
        if label not in tasks:
            tasks[label] = bar.add_task(label, total=progress.total)
        bar.update(tasks[label], completed=progress.done, total=progress.total)

    return draw
