"""The options of `latlab search` but those of accuracy, in the panels of its help."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from search.cli.report import STUDY_PANEL
from search.cli.session import (
    MEASURING_PANEL,
    MOST_MILLIONS,
    MOST_MINUTES,
    MOST_MS,
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
