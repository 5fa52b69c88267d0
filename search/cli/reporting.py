"""`latlab report`: a study's page, plots and table, from what it holds and the lab knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from host.client import LatencyClient
from host.console import console, milliseconds, reported
from host.errors import LabError, NotReady
from search.cli.calibrating import evaluation_of, for_report
from search.constraints import MILLIONS_OF
from search.kernels import kernels
from search.report.data import PredictorEvaluation, ReportData, ZooRow, is_measured
from search.study import Study, StudyError, StudySettings, read_study
from search.zoo import ZOO

RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of studies.")]
DEFAULT_RUNS = Path("runs")


@dataclass(frozen=True)
class LabKnowledge:
    """What a report takes from the lab; the defaults are what is left without one.

    targets: their names. measured, evaluation: of the first.
    """

    targets: tuple[str, ...]
    measured: int = 0
    evaluation: PredictorEvaluation | None = None
    zoo: tuple[ZooRow, ...] = ()


def report(
    study: Annotated[str, typer.Argument(help="The study's name.")] = "first",
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Write a study's report.html and plots again, and print its front."""
    with reported(LabError, StudyError):
        show_report(read_study(runs / study))


def show_report(study: Study) -> None:
    """Without a running lab the report lacks what only the lab knows, and says so."""
    from search.report.page import write_report
    from search.report.table import front_table

    try:
        lab = _ask_lab(study.settings)
    except LabError as error:
        console.print(f"[yellow]The report is written without the lab: {error}[/]")
        lab = LabKnowledge(tuple(study.settings.target_ids()))
    trials = [trial for finished in study.rounds for trial in finished.trials]
    measurements = sum(map(is_measured, study.latest().values()))
    data = ReportData(
        study=study.directory.name,
        settings=_settings(study, lab.targets),
        trials=trials,
        target=_in_words(study.settings, lab.targets),
        target_latency_ns=study.settings.target_ns,
        measurements=measurements,
        calibration=max(0, lab.measured - measurements),
        evaluation=lab.evaluation,
        zoo=lab.zoo,
        targets=lab.targets if len(lab.targets) > 1 else (),
    )
    console.print(front_table(data))
    folder = study.directory / "front"
    folder.mkdir(exist_ok=True)
    for trial in data.measured_front():
        architecture = trial.architecture
        path = folder / f"{architecture.id}.json"
        path.write_text(json.dumps(architecture.to_dict(), indent=2) + "\n")
    console.print(f"The front's networks: {folder}/", soft_wrap=True)
    console.print(f"Report: {write_report(data, study.directory)}", soft_wrap=True)


def _ask_lab(settings: StudySettings) -> LabKnowledge:
    combination, networks = settings.combination(), list(map(kernels, ZOO.values()))
    with LatencyClient.connect() as client:
        targets = [client.find_target(target_id) for target_id in settings.target_ids()]
        names = tuple(target.name for target in targets)
        measured = len(client.measured_networks(targets[0].id))
        try:
            evaluation = for_report(evaluation_of(client, targets[0]))
            columns = [client.predict(target.id, networks) for target in targets]
        except NotReady:
            return LabKnowledge(names, measured)
        estimates = map(combination.combine, zip(*columns, strict=True))
        zoo = tuple(
            ZooRow(name, architecture, estimate)
            for (name, architecture), estimate in zip(ZOO.items(), estimates, strict=True)
        )
        return LabKnowledge(names, measured, evaluation, zoo)


def _in_words(settings: StudySettings, targets: Sequence[str]) -> str:
    if len(targets) == 1:
        return targets[0]
    if not settings.weights:
        return f"the worst of {', '.join(targets)}"
    weighted = (f"{t} by {w:g}" for t, w in zip(targets, settings.weights, strict=True))
    return f"weighted, {', '.join(weighted)}"


def _settings(study: Study, targets: Sequence[str]) -> dict[str, str]:
    settings = study.settings
    return {
        "space": settings.space,
        "strategy": settings.strategy,
        "target": _in_words(settings, targets),
        "target latency": ", ".join(map(milliseconds, settings.combination().targets_ns)),
        "reward": f"absolute, β = {settings.beta}"
        if settings.absolute
        else f"α = {settings.alpha}, β = {settings.beta}",
        "round size": str(settings.round_size),
        "seed": str(settings.seed),
        **{
            f"most {MILLIONS_OF[name]}": f"{most / 1e6:g}" for name, most in settings.limits.items()
        },
        **({"warm start": settings.warm_start} if settings.warm_start else {}),
        **{name.replace("_", " "): str(value) for name, value in settings.accuracy.items()},
    }
