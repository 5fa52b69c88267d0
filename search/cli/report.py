"""`latlab report`: a study's page, plots and table, with what the lab knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from host.cli.console import console, show
from latency_models.measured_networks import newest_of_each
from latlab.client.client import LatencyClient
from latlab.common.files import storing
from latlab.domain.errors import (
    LabError,
    NotFound,
    NotReady,
    StorageError,
    UnknownKernelKinds,
)
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement
from latlab.domain.precision import precision_of
from latlab.domain.target import Target
from search.cli.evaluate import evaluation_of, for_report
from search.report.study.data import PredictorEvaluation, ReportData, ZooRow
from search.space.deployment import Deployment
from search.space.kernels import kernels
from search.space.zoo import ZOO
from search.study.combined_latency import Combination
from search.study.front import front
from search.study.renewal import measurement_ids, renewed
from search.study.settings import StudySettings
from search.study.study import Study, read_study, study_folder
from search.study.trial import Trial, is_measured, without_undue_reward

STUDY_PANEL = "The study"
RunsOption = Annotated[
    Path,
    typer.Option("--runs", help="Folder that holds all studies.", rich_help_panel=STUDY_PANEL),
]
DEFAULT_RUNS = Path("runs")
DEFAULT_STUDIES = ["first"]


@dataclass(frozen=True)
class LabKnowledge:
    """The part of a report that only a lab knows.

    Attributes:
        targets: The names of the targets, or their ids without a lab.
        measured: All networks measured on the first target in the study's precision, the oldest
            first.
        latencies: The latencies of the study's measurements, by their ids, corrected alike.
        front_measurements: Measurements of networks on the front, by their ids.
        zoo: The published networks, with their latencies on the targets.
    """

    targets: tuple[str, ...]
    devices: tuple[Target, ...] = ()
    measured: Sequence[MeasuredNetwork] = ()
    latencies: Mapping[str, LatencyEstimate] = field(default_factory=dict)
    front_measurements: Mapping[str, Measurement] = field(default_factory=dict)
    zoo: tuple[ZooRow, ...] = tuple(ZooRow(name, network) for name, network in ZOO.items())


def report(
    studies: Annotated[
        list[str], typer.Argument(help="Names of studies. Several studies are compared.")
    ] = DEFAULT_STUDIES,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to. The default is the study's folder, or a folder in"
            " RUNS/comparisons for several studies."
        ),
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
) -> None:
    """Write a study's page, plots and data, and print its front, or compare several studies.

    In a comparison, studies that differ by their seed alone are drawn as one, with a band.
    """
    names = list(dict.fromkeys(studies))
    found = [read_study(study_folder(runs, name)) for name in names]
    if len(found) == 1:
        show_report(found[0], output)
    else:
        from search.report.comparison.files import folder_name

        _show_comparison(found, output or runs / "comparisons" / folder_name(names))


def show_report(study: Study, output: Path | None = None) -> None:
    """Write a study's report and print its front.

    Args:
        study: The study.
        output: Folder to write to; None stands for the study's folder.
    """
    from search.cli.front_table import front_table
    from search.report.comparison.groups import described
    from search.report.study.page import write_report
    from search.report.study.results import trained

    measured = list(filter(is_measured, study.latest().values()))
    lab = _ask_lab(study.settings, measured)
    target = _in_words(study.settings, lab.targets)
    trials = [without_undue_reward(trial) for each in study.rounds for trial in each.trials]
    trials = renewed(trials, lab.latencies, study.settings)
    data = ReportData(
        study=study.directory.name,
        settings={**described(study.settings), "target": target},
        trials=trials,
        target=target,
        target_latency_ns=study.settings.target_ns,
        measurements=len(measured),
        calibration=max(0, len(newest_of_each(lab.measured)) - len(measured)),
        evaluation=_evaluation(lab.measured),
        zoo=lab.zoo,
        accuracy=study.settings.accuracy.description,
        deployment=study.settings.deployment,
        trained=trained(study.directory),
        targets=lab.targets if len(lab.targets) > 1 else (),
        devices=lab.devices,
        front_measurements=lab.front_measurements,
        separate_targets=study.settings.separate_targets,
        statistics={each.index: each.statistics for each in study.rounds if each.statistics},
    )
    show(front_table(data))
    folder = study.directory / "front"
    with storing(folder):
        folder.mkdir(exist_ok=True)
        for trial in data.measured_front():
            architecture = trial.architecture
            path = folder / f"{architecture.id}.json"
            path.write_text(json.dumps(architecture.to_dict(), indent=2) + "\n")
    console.print(f"The front's networks: {folder}/", soft_wrap=True)
    directory = output or study.directory
    with storing(directory / "report.html"):
        page = write_report(data, directory)
    console.print(f"Report: {page}", soft_wrap=True)


def _show_comparison(studies: Sequence[Study], directory: Path) -> None:
    """Write the comparison of several studies.

    Raises:
        StudyError: The studies do not compare.
    """
    from search.report.comparison.comparison import Comparison
    from search.report.comparison.groups import group_studies
    from search.report.comparison.page import write_comparison
    from search.report.comparison.significance import in_words
    from search.report.study.results import trained

    groups = group_studies(studies)
    settings = studies[0].settings
    lab = _ask_lab(settings)
    finals = [result for study in studies for result in trained(study.directory)]
    target, zoo = _in_words(settings, lab.targets), lab.zoo
    if len({study.settings.deployment.precision for study in studies}) > 1:
        # The groups' labels say their precisions, and the lab was asked for that of the first.
        target, zoo = _combined(settings, lab.targets), LabKnowledge.zoo  # without latencies
    data = Comparison(groups, target, zoo, settings.accuracy.description, finals)
    for group in groups:
        names = ", ".join(study.directory.name for study in group.studies)
        console.print(f"{group.label}: {names}")
    if against := in_words(data.against_random, data.common_samples):
        console.print(against)
    with storing(directory / "report.html"):
        page = write_comparison(data, directory)
    console.print(f"Comparison: {page}", soft_wrap=True)


def _ask_lab(settings: StudySettings, measured_trials: Sequence[Trial] = ()) -> LabKnowledge:
    """Ask the running lab; if there is none, print so and return what is known without one."""
    ids = [id_ for trial in measured_trials for id_ in measurement_ids(trial)]
    try:
        with LatencyClient.connect() as client:
            targets = list(map(client.find_target, settings.target_ids))
            precision = settings.deployment.precision
            measured = [
                {
                    id_: network
                    for id_, network in client.measured_networks_by_id(target.id).items()
                    if precision_of(network.kernels) is precision
                }
                for target in targets
            ]
            zoo_ids = [_zoo_ids(networks, settings.deployment) for networks in measured]
            latencies = _latencies(client, ids, [id_ for each in zoo_ids for id_ in each.values()])
            zoos = [
                _zoo(client, target.id, {n: latencies[id_] for n, id_ in known.items()}, settings)
                for target, known in zip(targets, zoo_ids, strict=True)
            ]
            on_front = front(
                renewed(measured_trials, latencies, settings),
                separate_targets=settings.separate_targets,
            )
            front_ids = [id_ for trial in on_front for id_ in measurement_ids(trial)]
            return LabKnowledge(
                tuple(target.name for target in targets),
                tuple(targets),
                list(measured[0].values()),
                latencies,
                dict(_measurements(client, front_ids)),
                tuple(_on_all(row, settings) for row in zip(*zoos, strict=True)),
            )
    except LabError as error:
        console.print(f"The report is written without the lab: {error}", style="yellow")
        return LabKnowledge(tuple(settings.target_ids))


def _latencies(
    client: LatencyClient, ids: Sequence[str], others: Sequence[str]
) -> dict[str, LatencyEstimate]:
    """Return the latencies of measurements by their ids, all corrected alike.

    If one of the first ids cannot be used, there are only those of the others.
    """
    together = [*ids, *others]
    try:
        return dict(zip(together, client.look_up(together), strict=True))
    except (NotFound, StorageError) as error:
        console.print(f"Latencies are shown as the study recorded them: {error}", style="yellow")
        return dict(zip(others, client.look_up(others), strict=True))


def _measurements(client: LatencyClient, ids: Iterable[str]) -> Iterator[tuple[str, Measurement]]:
    """Yield those of the measurements that the lab can read."""
    for measurement_id in ids:
        with suppress(NotFound, StorageError):
            yield measurement_id, client.measurement(measurement_id)


def _in_words(settings: StudySettings, targets: Sequence[str]) -> str:
    """Return where latencies are measured, and in which precision if not in float32."""
    return f"{_combined(settings, targets)}{settings.deployment.in_precision}"


def _combined(settings: StudySettings, targets: Sequence[str]) -> str:
    if len(targets) == 1:
        return targets[0]
    weights = [target.weight for target in settings.targets if target.weight is not None]
    if not weights:
        return f"the worst of {', '.join(targets)}"
    weighted = (f"{name} by {weight:g}" for name, weight in zip(targets, weights, strict=True))
    return f"weighted, {', '.join(weighted)}"


def _on_all(rows: Sequence[ZooRow], settings: StudySettings) -> ZooRow:
    """Return a network's row on all targets together, from its row on each target."""
    latencies = [row.latency for row in rows if row.latency is not None]
    complete = len(latencies) == len(rows)
    combination = Combination(settings.targets)
    return replace(rows[0], latency=combination.combine(latencies) if complete else None)


def _evaluation(measured: Iterable[MeasuredNetwork]) -> PredictorEvaluation | None:
    try:
        return for_report(evaluation_of(measured))
    except NotReady:
        return None


def _zoo_ids(measured: Mapping[str, MeasuredNetwork], deployment: Deployment) -> dict[str, str]:
    """Return the id of the newest measurement of each published network that was measured.

    Args:
        measured: Measured networks by the ids of their measurements, the oldest first.
        deployment: The form of deployed networks.
    """
    newest = {network.kernels: id_ for id_, network in measured.items()}
    networks = {name: kernels(network, deployment=deployment) for name, network in ZOO.items()}
    return {name: newest[network] for name, network in networks.items() if network in newest}


def _zoo(
    client: LatencyClient,
    target_id: str,
    known: Mapping[str, LatencyEstimate],
    settings: StudySettings,
) -> tuple[ZooRow, ...]:
    """Return the published networks with known latencies, by name, or with predicted ones."""
    rest = {name: network for name, network in ZOO.items() if name not in known}
    latencies = dict(known)
    with suppress(NotReady, UnknownKernelKinds):
        asked_for = [kernels(each, deployment=settings.deployment) for each in rest.values()]
        latencies |= dict(zip(rest, client.predict(target_id, asked_for), strict=True))
    return tuple(ZooRow(name, network, latencies.get(name)) for name, network in ZOO.items())
