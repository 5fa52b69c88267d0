"""The settings of searches, calibrations and trainings. Nothing here imports torch."""

from __future__ import annotations

from search.study.settings.accuracy import (
    AccuracySource,
    CommandSource,
    OtherSource,
    ProxyBudget,
    TableSource,
    TrainingSource,
)
from search.study.settings.calibration import CalibrationSettings
from search.study.settings.full_training import FullTraining
from search.study.settings.limits import Limits
from search.study.settings.loop import LoopSettings
from search.study.settings.ppo import PPOSettings
from search.study.settings.reward import (
    AbsoluteReward,
    HardReward,
    PowerReward,
    Reward,
    SoftReward,
)
from search.study.settings.strategy_choice import (
    StrategyChoice,
    choose_strategy,
    recorded_choice,
)
from search.study.settings.study import (
    SearchTarget,
    StrategyName,
    StudyError,
    StudySettings,
    check_targets,
)
from search.study.settings.surrogate import SurrogateSettings

__all__ = [
    "AbsoluteReward",
    "AccuracySource",
    "CalibrationSettings",
    "CommandSource",
    "FullTraining",
    "HardReward",
    "Limits",
    "LoopSettings",
    "OtherSource",
    "PPOSettings",
    "PowerReward",
    "ProxyBudget",
    "Reward",
    "SearchTarget",
    "SoftReward",
    "StrategyChoice",
    "StrategyName",
    "StudyError",
    "StudySettings",
    "SurrogateSettings",
    "TableSource",
    "TrainingSource",
    "check_targets",
    "choose_strategy",
    "recorded_choice",
]
