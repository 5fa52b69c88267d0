"""Read the state of the lab when Prometheus asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from host.devices.fleet import Fleet
from host.devices.worker import DeviceWorker
from host.jobs import wait_reasons
from host.jobs.dispatcher import Dispatcher
from host.jobs.wait_reasons import QueuePosition, ServingDevice
from host.operation.database_watch import DatabaseFacts, DatabaseWatch
from host.predicting.predictors import Predictors
from latlab.domain.checks.text import cleaned
from latlab.domain.device import DevicePhase
from latlab.domain.errors import Unavailable

# More devices or targets than this are left out, so that a scrape stays bounded.
MAX_SERIES = 5_000
MAX_LABEL = 100  # characters


class LabCollector(Collector):
    """Yields the state of devices, jobs, predictors and the database."""

    def __init__(
        self, watch: DatabaseWatch, fleet: Fleet, dispatcher: Dispatcher, predictors: Predictors
    ) -> None:
        self._watch = watch
        self._fleet = fleet
        self._dispatcher = dispatcher
        self._predictors = predictors

    def describe(self) -> Iterable[Metric]:
        """Return nothing: otherwise the registry would collect when it is given this collector."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        yield _gauge(
            "latlab_build_info", "1, with the lab's version.", ["version"], [((_version(),), 1)]
        )
        workers = self._fleet.workers[:MAX_SERIES]
        yield from _devices(workers)
        yield self._jobs(workers)
        yield from self._predictor_metrics()
        try:
            facts = self._watch.facts()
        except Unavailable:
            facts = None
        yield _gauge("latlab_database_up", "1 if the database answers.", [], [((), bool(facts))])
        if facts is not None:
            yield from _database(facts)

    def _jobs(self, workers: Iterable[DeviceWorker]) -> Metric:
        """Count the open jobs. A target's jobs wait if none of its devices is ready."""
        ready: dict[str, bool] = {}
        for worker in workers:
            is_ready = worker.is_connected and not worker.obstacle
            for target_id in worker.targets:
                ready[target_id] = ready.get(target_id, False) or is_ready
        counts = Counter(
            (
                state.job.target_id,
                wait_reason(self._dispatcher.position(state), ready.get(state.job.target_id)),
            )
            for state in self._dispatcher.all_states()
        )
        return _gauge(
            "latlab_open_jobs",
            "Open jobs, by what they wait for.",
            ["target", "reason"],
            counts.items(),
        )

    def _predictor_metrics(self) -> Iterator[Metric]:
        found = [(id_, self._predictors.find(id_)) for id_ in self._predictors.fitted_targets()]
        snapshots = [(id_, each) for id_, each in found[:MAX_SERIES] if each is not None]
        yield _gauge(
            "latlab_predictor_measurements",
            "Measurements that the target's predictor has learned from.",
            ["target"],
            [((id_,), each.measurements) for id_, each in snapshots],
        )
        yield _gauge(
            "latlab_predictor_fitted_timestamp_seconds",
            "When the target's predictor was fitted.",
            ["target"],
            [((id_,), each.refit.unix_ns / 1e9) for id_, each in snapshots if each.refit],
        )


def wait_reason(position: QueuePosition, is_ready: bool | None) -> str:
    """Return what an open job waits for, as one of a few words.

    Args:
        position: The job's position in the queue.
        is_ready: Whether a device of its target takes jobs now; None if none serves it.
    """
    if position.is_taken:
        return "visit"
    serving = [] if is_ready is None else [ServingDevice("", "" if is_ready else "not ready")]
    reason = wait_reasons.wait_reason(position, serving)
    assert reason is not None  # that is a visit
    return reason.value


def _devices(workers: list[DeviceWorker]) -> Iterator[Metric]:
    phases = Counter(worker.state.phase for worker in workers)
    yield _gauge(
        "latlab_devices",
        "Devices, by phase.",
        ["phase"],
        [((phase.value,), phases[phase]) for phase in DevicePhase],
    )
    named = [(cleaned(worker.transport.name, MAX_LABEL), worker) for worker in workers]
    yield _gauge(
        "latlab_device_info",
        "1, with the device's model and its present phase.",
        ["device", "model", "phase"],
        [((name, _model(worker), worker.state.phase.value), 1) for name, worker in named],
    )
    yield _gauge(
        "latlab_device_temperature_celsius",
        "The hottest zone when the device last reported it.",
        ["device"],
        [
            ((name,), temperature_c)
            for name, worker in named
            if (temperature_c := worker.heat.temperature_c) is not None
        ],
    )
    uploads = [worker.uploads for worker in workers if worker.uploads is not None]
    yield _gauge(
        "latlab_program_uploads",
        "Programs on their way to devices: sending, or waiting at the last look.",
        ["state"],
        [
            (("sending",), sum(each.is_sending for each in uploads)),
            (("waiting",), sum(each.waiting for each in uploads)),
        ],
    )
    watched = [
        ((target_id, name), watch)
        for name, worker in named
        for target_id in list(worker.targets)
        if (watch := worker.sentinels.watch(target_id)) is not None
    ]
    yield _gauge(
        "latlab_sentinel_drift_ratio",
        "How far the sentinel was from its baseline, as a share of it.",
        ["target", "device"],
        [(labels, watch.drift) for labels, watch in watched],
    )
    yield _gauge(
        "latlab_sentinel_drifted",
        "1 if the target has drifted beyond doubt on the device, so that its jobs wait.",
        ["target", "device"],
        [(labels, watch.drifted) for labels, watch in watched],
    )


def _database(facts: DatabaseFacts) -> Iterator[Metric]:
    yield _gauge(
        "latlab_database_size_bytes", "The database's size on disk.", [], [((), facts.size_bytes)]
    )
    yield _gauge(
        "latlab_target_info",
        "1, with the name of a target's id and what it consists of.",
        ["target", "name", "model", "backend", "runtime"],
        [
            (
                (
                    target.id,
                    *(
                        cleaned(text, MAX_LABEL)
                        for text in (
                            target.name,
                            target.device_model,
                            target.backend,
                            target.runtime_version,
                        )
                    ),
                ),
                1,
            )
            for target in facts.targets[:MAX_SERIES]
        ],
    )
    scores = list(facts.scores.items())[:MAX_SERIES]
    for name, help_text, attribute in (
        ("error_ratio", "Mean error of the predictions that measurements tested", "mean_error"),
        ("within_5pct_ratio", "Share of these predictions within 5 %", "within_5pct"),
        ("interval_coverage_ratio", "Share inside their 90 % intervals", "inside_interval"),
        ("scored_networks", "Networks behind these shares", "networks"),
    ):
        yield _gauge(
            f"latlab_prediction_{name}",
            f"{help_text}, at the newest refit that has a score.",
            ["target"],
            [((target_id,), getattr(score, attribute)) for target_id, score in scores],
        )


def _gauge(
    name: str,
    help_text: str,
    labels: list[str],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for texts, value in values:
        family.add_metric(list(texts), float(value))
    return family


def _model(worker: DeviceWorker) -> str:
    return "" if worker.device is None else cleaned(worker.device.model, MAX_LABEL)


def _version() -> str:
    try:
        return version("latency-lab")
    except PackageNotFoundError:
        return "unknown"
