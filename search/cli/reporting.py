"""`latlab report`: a study's page, plots and table, from what it holds and the lab knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from host.client import LatencyClient
from host.console import console, reported
from host.domain import Target
from host.errors import LabError, NotReady
from search.accuracy.readers import DatasetError
from search.cli.calibrating import evaluation_of, for_report
from search.loop import measured_front
from search.report.data import PredictorEvaluation, ReportData, is_measured
from search.report.page import write_report
from search.report.table import front_table
from search.study import Study, StudyError, read_study

RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of studies.")]
DEFAULT_RUNS = Path("runs")


def report(
    study: Annotated[str, typer.Argument(help="The study's name.")] = "first",
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Write a study's report.html and plots again, and print its front."""
    with reported(LabError, StudyError, DatasetError):
        show_report(read_study(runs / study))


def show_report(study: Study) -> None:
    """Without a running lab the report lacks the held-out networks, and says so."""
    target_name, evaluation = study.settings.target_id, None
    try:
        with LatencyClient.connect() as client:
            target = next(
                s.target for s in client.targets() if s.target.id == study.settings.target_id
            )
            target_name, evaluation = target.name, _evaluation(client, target)
    except (LabError, StopIteration) as error:
        console.print(f"[yellow]the report is written without the lab: {error}[/]")
    trials = list(study.latest().values())
    data = ReportData(
        study=study.directory.name,
        settings=_settings(study, target_name),
        trials=trials,
        target=target_name,
        target_latency_ns=study.settings.target_ns,
        measurements=sum(map(is_measured, trials)),
        calibration=0 if evaluation is None else len(evaluation.measured_ns),
        evaluation=evaluation,
    )
    console.print(front_table(data))
    for trial in measured_front(trials):
        path = study.directory / "front" / f"{trial.architecture.id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(trial.architecture.to_dict(), indent=2) + "\n")
    console.print(f"Report: {write_report(data, study.directory)}")


def _evaluation(client: LatencyClient, target: Target) -> PredictorEvaluation | None:
    try:
        return for_report(evaluation_of(client, target))
    except NotReady:
        return None


def _settings(study: Study, target_name: str) -> dict[str, str]:
    settings = study.settings
    return {
        "space": settings.space,
        "strategy": settings.strategy,
        "target": target_name,
        "target latency": f"{settings.target_ns / 1e6:.2f} ms",
        "reward exponents": f"α = {settings.alpha}, β = {settings.beta}",
        "round size": str(settings.round_size),
        "seed": str(settings.seed),
        **{name.replace("_", " "): str(value) for name, value in settings.accuracy.items()},
    }
