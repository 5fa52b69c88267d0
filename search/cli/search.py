"""`latlab search`: its options, parsed into typed settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import typer

from host.cli.console import reported
from latlab.domain.precision import Precision
from search.cli import accuracy_options
from search.cli import search_options as options
from search.cli.report import DEFAULT_RUNS, RunsOption
from search.cli.search_run import SearchRequest, run
from search.cli.session import (
    DEFAULT_CLASSES,
    DEFAULT_RESOLUTION,
    ClassesOption,
    PrecisionOption,
    PriorityOption,
    ResolutionOption,
)
from search.space.deployment import Deployment
from search.study.settings import (
    AccuracySource,
    CalibrationSettings,
    CommandSource,
    Limits,
    LoopSettings,
    PPOSettings,
    ProxyBudget,
    StrategyName,
    TableSource,
    TrainingSource,
)

BUDGET, LOOP, CALIBRATION = ProxyBudget(), LoopSettings(), CalibrationSettings()

T = TypeVar("T")

# Options that have an effect beside another option only: their parameters, by that option's.
DEPENDENT_OPTIONS = {
    "table": ("table_column", "table_fit"),
    "accuracy_command": ("accuracy_limit_s",),
}


def search(
    context: typer.Context,
    study: options.StudyOption = "first",
    runs: RunsOption = DEFAULT_RUNS,
    seed: options.SeedOption = 0,
    warm_start: options.WarmStartOption = None,
    targets: options.TargetsOption = None,
    target_latencies_ms: options.TargetLatenciesOption = None,
    weights: options.WeightsOption = None,
    resolution: ResolutionOption = DEFAULT_RESOLUTION,
    classes: ClassesOption = DEFAULT_CLASSES,
    precision: PrecisionOption = Precision.FP32,
    space: options.SpaceOption = options.DEFAULT_SPACE,
    strategy: options.StrategyOption = None,
    ppo: options.PPOOption = None,
    surrogate: accuracy_options.SurrogateOption = None,
    reward: options.RewardOption = options.RewardName.SOFT,
    rounds: options.RoundsOption = LOOP.rounds,
    round_size: options.RoundSizeOption = None,
    calibration: options.CalibrationOption = CALIBRATION.networks,
    max_measured_share: options.MeasuredShareOption = LOOP.max_measured_share,
    max_measurements: options.MaxMeasurementsOption = None,
    max_device_minutes: options.MaxDeviceMinutesOption = None,
    priority: PriorityOption = 0,
    max_params_m: options.MaxParametersOption = None,
    max_madds_m: options.MaxMultiplyAddsOption = None,
    max_size_mb: options.MaxSizeOption = None,
    dataset: accuracy_options.DatasetOption = "auto",
    proxy_train_images: accuracy_options.ProxyTrainImagesOption = BUDGET.train_images,
    proxy_val_images: accuracy_options.ProxyValImagesOption = BUDGET.val_images,
    proxy_resolution: accuracy_options.ProxyResolutionOption = None,
    proxy_width_multiplier: accuracy_options.ProxyWidthOption = BUDGET.width_multiplier,
    proxy_stem_stride: accuracy_options.ProxyStemStrideOption = BUDGET.stem_stride,
    proxy_epochs: accuracy_options.ProxyEpochsOption = BUDGET.epochs,
    proxy_limit_s: accuracy_options.ProxyLimitOption = BUDGET.limit_s,
    repeat_share: accuracy_options.RepeatShareOption = LOOP.repeat_share,
    table: accuracy_options.TableOption = None,
    table_column: accuracy_options.TableColumnOption = "accuracy",
    table_fit: accuracy_options.TableFitOption = True,
    accuracy_command: accuracy_options.AccuracyCommandOption = None,
    accuracy_limit_s: accuracy_options.AccuracyLimitOption = 3600.0,
) -> None:
    """Search for networks that are accurate and fast on a target, measured on the device.

    Each round the strategy proposes candidates. A short training, a table or your own program
    gives their accuracy. The lab predicts their latency and measures the most promising ones.
    The front is drawn from measurements alone. Interrupted, the same command resumes the search.
    """
    with reported(ValueError):
        check_effects(context)
        request = from_options(
            SearchRequest,
            context.params,
            deployment=Deployment(resolution, classes, precision),
            strategy=StrategyName.PPO if ppo else strategy,
            ppo=PPOSettings.parsed(ppo or []),
            reward=options.REWARDS[reward],
            loop=from_options(LoopSettings, context.params),
            calibration=CalibrationSettings(calibration),
            limits=Limits.of_millions(max_params_m, max_madds_m, max_size_mb),
            accuracy=accuracy_source(context.params),
        )
    run(request)


def from_options(kind: type[T], options: Mapping[str, Any], prefix: str = "", **others: Any) -> T:  # noqa: ANN401
    """Return settings whose fields have the values of the options of the same names.

    Args:
        kind: A dataclass.
        options: The values of a command's options.
        prefix: What precedes the names of the fields in those of the options.
        **others: Fields that are not taken from options.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    taken = {n: options[f"{prefix}{n}"] for n in names if f"{prefix}{n}" in options}
    return kind(**{**taken, **others})


def accuracy_source(options: Mapping[str, Any]) -> AccuracySource:
    """Return the source of accuracies that the options of `latlab search` name."""
    if options["table"] is not None:
        return from_options(TableSource, options, "table_", table=str(options["table"]))
    if options["accuracy_command"] is not None:
        return from_options(CommandSource, options, "accuracy_")
    given = {name: value for name, value in options.items() if value is not None}
    budget = from_options(ProxyBudget, given, "proxy_", seed=options["seed"])
    return TrainingSource(options["dataset"], budget)


def check_effects(context: typer.Context) -> None:
    """Check that each given option has an effect together with the others.

    Raises:
        ValueError: An option has no effect. The message names it.
    """
    given = context.params
    if given["table"] is not None and given["accuracy_command"] is not None:
        raise ValueError("accuracy comes from --table or --accuracy-command, not from both")
    if given["ppo"] and given["strategy"] not in (None, StrategyName.PPO):
        strategy = given["strategy"].value
        raise ValueError(f"--ppo has no effect on --strategy {strategy}: leave it out")
    for needed, dependent in DEPENDENT_OPTIONS.items():
        for option in dependent:
            source = context.get_parameter_source(option)
            if source is not None and source.name == "COMMANDLINE" and not given[needed]:
                named, missing = (f"--{name.replace('_', '-')}" for name in (option, needed))
                raise ValueError(f"{named} has no effect without {missing}: leave it out")
