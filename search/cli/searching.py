"""`latlab search`: calibrate, search, measure, report."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from host.console import console, milliseconds, progress_bar
from host.domain import Failure
from host.errors import LabError
from search.calibration import REFERENCE
from search.cli.accuracy import by_command, by_supernet, by_table, by_training
from search.cli.calibrating import DEFAULT_NETWORKS, run_calibration
from search.cli.common import PriorityOption, Session, TargetOption, session
from search.cli.reporting import DEFAULT_RUNS, RunsOption, show_report
from search.reward import ABSOLUTE_BETA, HARD, SOFT
from search.space import SPACES
from search.study import SETTINGS, StrategyName, StudySettings, open_study, read_settings

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


def search(
    study: Annotated[str, typer.Option(help="Its name; an interrupted one goes on.")] = "first",
    target: TargetOption = None,
    target_latency_ms: Annotated[
        float | None,
        typer.Option("--target-latency", help="In ms; by default MobileNetV2's, as the paper."),
    ] = None,
    space: Annotated[SpaceName, typer.Option(help="What is searched.")] = DEFAULT_SPACE,
    strategy: Annotated[StrategyName, typer.Option(help="What proposes.")] = StrategyName.PPO,
    reward: Annotated[
        RewardName, typer.Option(help="The paper's two, or TuNAS's.")
    ] = RewardName.SOFT,
    rounds: Annotated[int, typer.Option(min=1, help="Of searching, in all.")] = 4,
    round_size: Annotated[int, typer.Option(min=1, help="Candidates a round.")] = 16,
    measured_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of all candidates, measured at most.")
    ] = 1 / 3,
    max_measurements: Annotated[
        int | None, typer.Option(min=0, help="Candidates, measured at most.")
    ] = None,
    calibration: Annotated[
        int, typer.Option(min=4, help="Networks measured before the search.")
    ] = DEFAULT_NETWORKS,
    dataset: Annotated[
        str,
        typer.Option(help="digits, fashion-mnist[:DIR], an .npz, an image folder; auto."),
    ] = "auto",
    train_images: Annotated[int, typer.Option(min=1, help="Of the proxy task.")] = 2048,
    resolution: Annotated[int, typer.Option(min=8, help="Of the proxy task.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Of each proxy training.")] = 2,
    supernet: Annotated[
        bool,
        typer.Option("--supernet", help="Train once, a network that holds all the others."),
    ] = False,
    supernet_epochs: Annotated[int, typer.Option(min=1, help="Of that training.")] = 35,
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
    accuracy_limit_s: Annotated[
        float, typer.Option(min=1, help="Seconds that the program may take.")
    ] = 3600.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
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
    from search.accuracy.training import ProxyBudget
    from search.loop import LoopSettings, run_search
    from search.strategies import make_strategy

    with session(target, priority=priority) as opened:
        budget = ProxyBudget(
            train_images=train_images, resolution=resolution, epochs=epochs, seed=seed
        )
        searched = SPACES[space.value]
        if [table is not None, accuracy_command is not None, supernet].count(True) > 1:
            raise ValueError(
                "accuracy comes from one of --table, --accuracy-command and --supernet"
            )
        if table is not None:
            judged = by_table(table, table_column, table_fit, searched)
        elif accuracy_command is not None:
            judged = by_command(accuracy_command, accuracy_limit_s)
        elif supernet:
            judged = by_supernet(dataset, budget, supernet_epochs, searched, runs / study)
        else:
            judged = by_training(dataset, budget)
        console.print(f"Accuracy: {judged.note}.", highlight=False)
        run_calibration(opened, searched, calibration)
        alpha, beta = EXPONENTS[reward]
        settings = StudySettings(
            space=searched.name,
            strategy=strategy.value,
            target_id=opened.target.id,
            target_ns=_target_ns(runs / study, target_latency_ms, opened),
            accuracy=judged.described,
            alpha=alpha,
            beta=beta,
            round_size=round_size,
            seed=seed,
            absolute=reward is RewardName.ABSOLUTE,
        )
        console.print(f"Target latency: {milliseconds(settings.target_ns)}.")
        with open_study(runs / study, settings) as opened_study:
            if opened_study.rounds:
                console.print(f"Going on: {len(opened_study.rounds)} rounds are finished.")
            with progress_bar() as bar:
                run_search(
                    opened_study,
                    make_strategy(strategy, searched, seed),
                    judged.accuracy,
                    opened.lab,
                    LoopSettings(
                        rounds=rounds,
                        max_measured_share=measured_share,
                        max_measurements=max_measurements,
                    ),
                    on_progress=_drawn_on(bar),
                    on_note=lambda note: bar.console.print(note, highlight=False),
                )
            show_report(opened_study)


def _target_ns(directory: Path, asked_ms: float | None, opened: Session) -> int:
    """As asked for; else the study's own when it is resumed; else the reference's latency.

    Raises ValueError, StudyError, LabError.
    """
    if asked_ms is not None:
        return round(asked_ms * 1e6)
    if (directory / SETTINGS).is_file():
        return read_settings(directory).target_ns
    [outcome] = opened.lab.measure([REFERENCE])
    if isinstance(outcome, Failure):
        raise LabError(
            f"MobileNetV2 could not be measured ({outcome.message}): name a --target-latency"
        )
    return outcome[0].latency_ns


def _drawn_on(bar: ProgressBar) -> Callable[[Progress], None]:
    tasks: dict[str, TaskID] = {}

    def draw(progress: Progress) -> None:
        where = f"round {progress.round}" if progress.round else "the front"
        label = f"{where}: {progress.activity}"
        if label not in tasks:
            tasks[label] = bar.add_task(label, total=progress.total)
        bar.update(tasks[label], completed=progress.done, total=progress.total)

    return draw
