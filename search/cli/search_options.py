"""The options of `latlab search`, in the panels of its help."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from search.cli.report import STUDY_PANEL
from search.cli.session import (
    MEASURING_PANEL,
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_MILLIONS,
    MOST_MINUTES,
    MOST_MS,
    MOST_PIXELS,
    MOST_SECONDS,
    MOST_SEED,
    MOST_WEIGHT,
    TARGETS_PANEL,
    finite,
)
from search.latency.calibration import CANDIDATES
from search.space.space import SPACES
from search.study.settings import AbsoluteReward, HardReward, Reward, SoftReward, StrategyName
from search.study.settings.ppo import DEFAULTS
from search.study.settings.strategy_choice import (
    EVIDENCE,
    ROUND_SIZE_DEFAULT,
    STRATEGY_DEFAULT,
)

SEARCH_PANEL = "The search"
SIZE_PANEL = "Limits of candidates"
TRAINING_PANEL = "Accuracy from a proxy task (the default)"
TABLE_PANEL = "Accuracy from a table"
COMMAND_PANEL = "Accuracy from a program"

SpaceName = Enum("SpaceName", {name: name for name in SPACES}, type=str)  # type: ignore[misc]
DEFAULT_SPACE = SpaceName("mnasnet")


class RewardName(str, Enum):
    """The names of the rewards that `latlab search` offers."""

    SOFT = "soft"
    HARD = "hard"
    ABSOLUTE = "absolute"


REWARDS: dict[RewardName, Reward] = {
    RewardName.SOFT: SoftReward(),
    RewardName.HARD: HardReward(),
    RewardName.ABSOLUTE: AbsoluteReward(),
}

StudyOption = Annotated[
    str,
    typer.Option(help="Name of a new study or of one to resume.", rich_help_panel=STUDY_PANEL),
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=MOST_SEED,
        help="Seed of everything that is drawn: candidates, weights and images.",
        rich_help_panel=STUDY_PANEL,
    ),
]
WarmStartOption = Annotated[
    str | None,
    typer.Option(
        metavar="zoo|STUDY",
        help="Evaluate published networks (zoo), or the best ones of another study, before the"
        " first round.",
        rich_help_panel=STUDY_PANEL,
    ),
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="A target, by id or name. Repeat the option for several targets. The default is the"
        " first device with one thread.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
TargetLatenciesOption = Annotated[
    list[float] | None,
    typer.Option(
        "--target-latency",
        max=MOST_MS,
        callback=finite,
        help="Wanted latency in ms, once for each target. The default is MobileNetV2's latency"
        " there, as in the MnasNet paper.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
WeightsOption = Annotated[
    list[float] | None,
    typer.Option(
        "--weight",
        max=MOST_WEIGHT,
        callback=finite,
        help="Weight of a target in the mean latency, once for each of several targets. Without"
        " weights the worst target counts.",
        rich_help_panel=TARGETS_PANEL,
    ),
]
SpaceOption = Annotated[
    SpaceName, typer.Option(help="Space of networks to search.", rich_help_panel=SEARCH_PANEL)
]
StrategyOption = Annotated[
    StrategyName | None,
    typer.Option(
        help=f"Strategy that proposes candidates. A study keeps its strategy. {EVIDENCE}",
        show_default=STRATEGY_DEFAULT,
        rich_help_panel=SEARCH_PANEL,
    ),
]
PPOOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Search with PPO, and set a parameter of it. Repeat the option for several. The"
        f" defaults: {DEFAULTS}.",
        rich_help_panel=SEARCH_PANEL,
    ),
]
RewardOption = Annotated[
    RewardName,
    typer.Option(
        help="How accuracy and latency become one number: MnasNet's soft or hard reward, or"
        " TuNAS's absolute one.",
        rich_help_panel=SEARCH_PANEL,
    ),
]
_Rounds = {"min": 1, "max": 100_000, "rich_help_panel": SEARCH_PANEL}
RoundsOption = Annotated[
    int, typer.Option(help="Number of rounds, including those of a resumed study.", **_Rounds)
]
RoundSizeOption = Annotated[
    int | None,
    typer.Option(
        help="Number of candidates in a round.", show_default=ROUND_SIZE_DEFAULT, **_Rounds
    ),
]
CalibrationOption = Annotated[
    int,
    typer.Option(
        "--calibration",
        min=4,
        max=CANDIDATES,
        help="Number of networks to have measured before the search, so that latencies can be"
        " predicted.",
        rich_help_panel=MEASURING_PANEL,
    ),
]
MeasuredShareOption = Annotated[
    float,
    typer.Option(
        "--measured-share",
        show_default="1/3",
        min=0,
        max=1,
        callback=finite,
        help="Share of all candidates to measure, at most.",
        rich_help_panel=MEASURING_PANEL,
    ),
]
_Budget = {"min": 0, "rich_help_panel": MEASURING_PANEL}
MaxMeasurementsOption = Annotated[
    int | None,
    typer.Option(max=10**9, help="Number of candidates to measure, at most.", **_Budget),
]
MaxDeviceMinutesOption = Annotated[
    float | None,
    typer.Option(
        max=MOST_MINUTES,
        callback=finite,
        help="Minutes for which measurements of candidates keep the device, at most.",
        **_Budget,
    ),
]
_Millions = {"min": 0, "max": MOST_MILLIONS, "callback": finite, "rich_help_panel": SIZE_PANEL}
MaxParametersOption = Annotated[
    float | None,
    typer.Option(help="Millions of parameters of a candidate, at most.", **_Millions),
]
MaxMultiplyAddsOption = Annotated[
    float | None,
    typer.Option(help="Millions of multiply-adds of a candidate, at most.", **_Millions),
]
MaxSizeOption = Annotated[
    float | None,
    typer.Option(help="Megabytes of a candidate's program, at most.", **_Millions),
]
DATASET_HELP = (
    "Images to train on: digits, fashion-mnist, fashion-mnist:DIR, an .npz file, or a folder"
    " with one folder of images for each class. auto stands for Fashion-MNIST if it is installed,"
    " else digits."
)
DatasetOption = Annotated[str, typer.Option(help=DATASET_HELP, rich_help_panel=TRAINING_PANEL)]
_Images = {"min": 1, "max": MOST_IMAGES, "rich_help_panel": TRAINING_PANEL}
ProxyTrainImagesOption = Annotated[
    int, typer.Option(help="Number of images that a candidate trains on, at most.", **_Images)
]
ProxyValImagesOption = Annotated[
    int, typer.Option(help="Number of images that a candidate is validated on, at most.", **_Images)
]
ProxyResolutionOption = Annotated[
    int,
    typer.Option(
        min=8,
        max=MOST_PIXELS,
        help="Height and width, in pixels, of the images that candidates train on.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyWidthOption = Annotated[
    float,
    typer.Option(
        "--proxy-width",
        min=0.05,
        max=2,
        callback=finite,
        help="Factor of the channels of the networks that are trained in place of candidates.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyStemStrideOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=2,
        help="Stride of the first convolution of trained networks. Use 2 for large images.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyEpochsOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=MOST_EPOCHS,
        help="Number of epochs that a candidate trains for.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
ProxyLimitOption = Annotated[
    float,
    typer.Option(
        min=1,
        max=MOST_SECONDS,
        callback=finite,
        help="Seconds after which a candidate's training has failed.",
        rich_help_panel=TRAINING_PANEL,
    ),
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of networks of the space and their accuracies, to use in place of training.",
        rich_help_panel=TABLE_PANEL,
    ),
]
TableColumnOption = Annotated[
    str,
    typer.Option(
        help="Name of the table's column that holds accuracies.", rich_help_panel=TABLE_PANEL
    ),
]
TableFitOption = Annotated[
    bool,
    typer.Option(
        help="Predict accuracies by boosted trees fitted on the table, or only look them up.",
        rich_help_panel=TABLE_PANEL,
    ),
]
AccuracyCommandOption = Annotated[
    str | None,
    typer.Option(
        help="Program to run in place of training. It reads an architecture as JSON from its"
        " standard input and prints the accuracy, from 0 to 1, as its last line.",
        rich_help_panel=COMMAND_PANEL,
    ),
]
AccuracyLimitOption = Annotated[
    float,
    typer.Option(
        min=1,
        max=MOST_SECONDS,
        callback=finite,
        help="Seconds after which a run of the program has failed.",
        rich_help_panel=COMMAND_PANEL,
    ),
]
