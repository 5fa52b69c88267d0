"""`latlab report`: a study's page, plots and table, from what it holds and the lab knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from host.client import LatencyClient
from host.console import console, reported
from host.errors import LabError, NotReady
from search.cli.calibrating import evaluation_of, for_report
from search.constraints import MILLIONS_OF
from search.kernels import kernels
from search.report.data import PredictorEvaluation, ReportData, ZooRow, is_measured
from search.study import Study, StudyError, read_study
from search.zoo import ZOO

RunsOption = Annotated[Path, typer.Option("--runs", help="The folder of studies.")]
DEFAULT_RUNS = Path("runs")


@dataclass(frozen=True)
class LabKnowledge:
    """What a report takes from the lab; the defaults are what is left without one."""

    target: str
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
        lab = _ask_lab(study.settings.target_id)
    except LabError as error:
        console.print(f"[yellow]The report is written without the lab: {error}[/]")
        lab = LabKnowledge(study.settings.target_id)
    trials = [trial for finished in study.rounds for trial in finished.trials]
    measurements = sum(map(is_measured, study.latest().values()))
    data = ReportData(
        study=study.directory.name,
        settings=_settings(study, lab.target),
        trials=trials,
        target=lab.target,
        target_latency_ns=study.settings.target_ns,
        measurements=measurements,
        calibration=max(0, lab.measured - measurements),
        evaluation=lab.evaluation,
        zoo=lab.zoo,
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


def _ask_lab(target_id: str) -> LabKnowledge:
    with LatencyClient.connect() as client:
        target = client.find_target(target_id)
        measured = len(client.measured_networks(target.id))
        try:
            evaluation = for_report(evaluation_of(client, target))
            estimates = client.predict(target.id, list(map(kernels, ZOO.values())))
        except NotReady:
            return LabKnowledge(target.name, measured)
        zoo = tuple(
            ZooRow(name, architecture, estimate)
            for (name, architecture), estimate in zip(ZOO.items(), estimates, strict=True)
        )
        return LabKnowledge(target.name, measured, evaluation, zoo)


def _settings(study: Study, target_name: str) -> dict[str, str]:
    settings = study.settings
    return {
        "space": settings.space,
        "strategy": settings.strategy,
        "target": target_name,
        "target latency": f"{settings.target_ns / 1e6:.2f} ms",
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
