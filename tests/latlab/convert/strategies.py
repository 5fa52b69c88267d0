"""Hypothesis strategies for the lab's nouns, awkward values included."""

from __future__ import annotations

from hypothesis import strategies as st

from latlab.domain.benchmark_spec import VISIT_BOUNDS, BenchmarkSpec, VisitSpec
from latlab.domain.device import (
    CoreClass,
    Device,
    DeviceEvent,
    DeviceHistory,
    DevicePhase,
    DeviceState,
    DeviceStatus,
    EventKind,
    SentinelReading,
    TransportKind,
)
from latlab.domain.estimate import (
    Correction,
    Footprint,
    LatencyEstimate,
    MeasuredLatency,
    PredictionScore,
    RawSamples,
    Refit,
    Source,
)
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.job import JobPhase, JobStatus, WaitReason
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import (
    Conditions,
    Exclusion,
    KernelTrace,
    Measurement,
    StoredMeasurement,
    Visit,
)
from latlab.domain.program import DTYPES, INTEGER_RANGES, Program, TensorSpec
from latlab.domain.records.measurements import MeasurementSummary, VisitSummary
from latlab.domain.records.predictions import TargetDetails
from latlab.domain.target import Target, TargetStatus

counts = st.integers(0, 2**32 - 1)
nanoseconds = st.integers(0, 2**62)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
shapes = st.lists(st.integers(0, 2**20), max_size=5).map(tuple)
pairs = st.tuples(st.integers(1, 512), st.integers(1, 512))
shares = st.floats(0, 1)

kernels = st.builds(
    Kernel,
    kind=texts,
    inputs=st.lists(shapes, max_size=3).map(tuple),
    output=shapes,
    kernel_size=pairs,
    stride=pairs,
    dilation=st.integers(1, 8),
    groups=st.integers(1, 2048),
    activation=st.sampled_from(["", "relu", "relu6"]),
    dtype=st.sampled_from(["float32", "int8"]),
)


@st.composite
def _tensor_specs(draw: st.DrawFn) -> TensorSpec:
    shape, dtype = draw(shapes), draw(st.sampled_from(DTYPES))
    if dtype not in INTEGER_RANGES or draw(st.booleans()):
        return TensorSpec(shape, dtype)
    low, high = sorted(draw(st.tuples(*[st.integers(*INTEGER_RANGES[dtype])] * 2)))
    return TensorSpec(shape, dtype, low, high)


tensor_specs = _tensor_specs()
programs = st.builds(
    Program,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    size_bytes=nanoseconds,
    backend=texts,
    inputs=st.lists(tensor_specs, max_size=3).map(tuple),
    kernels=st.lists(kernels, max_size=6).map(tuple),
    undelegated=st.lists(texts, max_size=2).map(tuple),
    exporter=texts,
)


@st.composite
def _visit_specs(draw: st.DrawFn) -> VisitSpec:
    numbers = {name: draw(st.integers(*bounds)) for name, bounds in VISIT_BOUNDS.items()}
    numbers["max_timed_runs"] = max(numbers["timed_runs"], numbers["max_timed_runs"])
    return VisitSpec(**numbers, core_class=draw(texts), traced=draw(st.booleans()))


visit_specs = _visit_specs()


@st.composite
def _specs(draw: st.DrawFn) -> BenchmarkSpec:
    min_visits = draw(st.integers(1, 100))
    return BenchmarkSpec(
        visit=draw(visit_specs),
        min_visits=min_visits,
        max_visits=draw(st.integers(min_visits, 100)),
        tolerance=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
        traced_visits=draw(st.integers(0, 100)),
        spacing_ns=draw(st.integers(0, 600 * 10**9)),
        half_width=draw(st.floats(0, 1, exclude_max=True)),
    )


specs = _specs()
conditions = st.builds(
    Conditions,
    unix_ns=nanoseconds,
    temperature_c=st.none() | st.floats(-50, 150),
    clock_khz=st.none() | nanoseconds,
    governor=st.none() | texts,
    battery_level=st.none() | shares,
    load_1min=st.none() | st.floats(0, 1e4),
    steal_ns=st.none() | nanoseconds,
    arithmetic_probe_ns=st.none() | nanoseconds,
    memory_probe_ns=st.none() | nanoseconds,
    throttled=st.none() | st.booleans(),
)


@st.composite
def _visits(draw: st.DrawFn) -> Visit:
    runs = draw(st.integers(0, 12))
    series = st.lists(nanoseconds, min_size=runs, max_size=runs).map(tuple)
    return Visit(
        run_id=draw(st.uuids()).hex,
        traced=draw(st.booleans()),
        wall_ns=draw(series),
        cpu_ns=draw(series),
        involuntary_switches=draw(series),
        warmup_runs=draw(st.integers(0, 2**31 - 1)),
        load_ns=draw(nanoseconds),
        peak_rss_bytes=draw(st.none() | st.integers(1, 2**62)),
        before=draw(conditions),
        after=draw(conditions),
        kernel_traces=tuple(
            KernelTrace(name, draw(series), draw(st.none() | counts))
            for name in draw(st.lists(texts, max_size=3))
        ),
        first_run_ns=draw(st.none() | nanoseconds),
        planned_bytes=draw(st.none() | nanoseconds),
    )


visits = _visits()
failures = st.builds(Failure, kind=st.sampled_from(FailureKind), message=texts)
devices = st.builds(
    Device,
    serial=st.uuids().map(lambda value: value.hex),
    model=texts,
    soc=texts,
    os_build=texts,
    abi=texts,
    runtime_version=texts,
    runner_build=texts,
    backends=st.lists(texts, max_size=2).map(tuple),
    core_classes=st.lists(
        st.builds(
            CoreClass,
            name=texts,
            cpus=st.lists(st.integers(0, 300), max_size=8).map(tuple),
            max_clock_khz=st.none() | nanoseconds,
        ),
        max_size=3,
    ).map(tuple),
    memory_bytes=nanoseconds,
    max_program_bytes=nanoseconds,
    confinement=st.lists(texts, max_size=2).map(tuple),
    agent_id=texts,
    fast_fp16=st.none() | st.booleans(),
)
targets = st.builds(
    Target,
    device_model=texts,
    os_build=texts,
    runtime_version=texts,
    runner_build=texts,
    backend=texts,
    threads=st.integers(1, 64),
    core_class=texts,
)
measurements = st.builds(
    Measurement,
    id=texts,
    target_id=texts,
    program_sha256=texts,
    spec=specs,
    unix_ns=nanoseconds,
    visits=st.lists(visits, max_size=2).map(tuple),
    traces_removed_unix_ns=st.none() | nanoseconds,
    samples_removed_unix_ns=st.none() | nanoseconds,
)
raw_samples = st.builds(RawSamples, *[nanoseconds] * 3, *[counts] * 3)
estimates = st.builds(
    LatencyEstimate,
    latency_ns=nanoseconds,
    lower_ns=nanoseconds,
    upper_ns=nanoseconds,
    source=st.sampled_from(Source),
    coverage=shares,
    samples=counts,
    age_s=st.floats(0, 1e9),
    steadied=st.booleans(),
    unknown_kinds=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    raw=st.none() | raw_samples,
    correction=st.none() | st.builds(Correction, texts, nanoseconds),
)

measured_latencies = st.builds(
    MeasuredLatency,
    measurement_id=texts,
    program_sha256=texts,
    estimate=estimates,
    clean_visits=counts,
    disturbed_visits=counts,
    device_s=st.floats(0, 1e9),
    heat_unknown=st.booleans(),
    untraced=st.booleans(),
    footprint=st.none()
    | st.builds(
        Footprint,
        size_bytes=nanoseconds,
        load_ns=st.none() | st.floats(0, 1e12),
        first_run_ns=st.none() | st.floats(0, 1e12),
        peak_rss_bytes=st.none() | nanoseconds,
        planned_bytes=st.none() | nanoseconds,
    ),
)


@st.composite
def _job_statuses(draw: st.DrawFn) -> JobStatus:
    outcome = draw(st.none() | failures | measured_latencies)
    sha256 = outcome.program_sha256 if isinstance(outcome, MeasuredLatency) else draw(texts)
    return JobStatus(
        id=draw(st.uuids()).hex,
        target_id=draw(texts),
        program_sha256=sha256,
        spec=draw(specs),
        priority=draw(st.integers(-(2**31), 2**31 - 1)),
        created_unix_ns=draw(nanoseconds),
        phase=draw(st.sampled_from(JobPhase)),
        owner=draw(texts),
        ahead=draw(st.none() | counts),
        wait_reason=draw(st.none() | st.sampled_from(WaitReason)),
        waits_for=draw(texts),
        visits_done=draw(counts),
        provisional=draw(st.none() | estimates),
        ended_unix_ns=draw(st.none() | nanoseconds),
        outcome=outcome,
    )


job_statuses = _job_statuses()
refits = st.builds(
    Refit,
    unix_ns=nanoseconds,
    measurements=st.integers(0, 2**31 - 1),
    fit_s=st.floats(0, 1e9),
    predictor=texts,
    fingerprint=texts,
    versions=st.dictionaries(texts, texts, max_size=3),
    score=st.none()
    | st.builds(
        PredictionScore,
        networks=st.integers(1, 2**31 - 1),
        guessed=st.integers(0, 2**31 - 1),
        mean_error=st.floats(0, 1e9),
        within_5pct=shares,
        inside_interval=shares,
    ),
)
target_statuses = st.builds(
    TargetStatus,
    target=targets,
    devices=counts,
    measurements=counts,
    fitted_measurements=counts,
    shares_host=st.booleans(),
    sentinel_drift=st.none() | st.floats(-1, 10),
    drifted=st.booleans(),
)

_times_ns = st.floats(1, 1e12)


@st.composite
def _networks(draw: st.DrawFn) -> MeasuredNetwork:
    drawn = draw(st.lists(kernels, max_size=3).map(tuple))
    times_ns = st.lists(_times_ns, min_size=len(drawn), max_size=len(drawn)).map(tuple)
    lower_ns, latency_ns, upper_ns = sorted(draw(st.tuples(_times_ns, _times_ns, _times_ns)))
    return MeasuredNetwork(
        kernels=drawn,
        kernel_ns=draw(st.none() | times_ns) if drawn else None,
        latency_ns=latency_ns,
        lower_ns=lower_ns,
        upper_ns=upper_ns,
        unix_ns=draw(nanoseconds),
        memory_probe_ns=draw(st.none() | _times_ns),
        traced_memory_probe_ns=draw(st.none() | _times_ns),
    )


networks = _networks()
stored_measurements = st.builds(
    StoredMeasurement,
    id=texts,
    unix_ns=nanoseconds,
    target=texts,
    target_id=texts,
    program_sha256=texts,
    latency_ns=st.none() | nanoseconds,
    lower_ns=st.none() | nanoseconds,
    upper_ns=st.none() | nanoseconds,
    clean_visits=counts,
    visits=counts,
    suspect=st.booleans(),
    is_sentinel=st.booleans(),
    exclusion=st.none() | st.builds(Exclusion, nanoseconds, texts),
    unusable=texts,
    failed_visits=st.lists(failures, max_size=2).map(tuple),
    untraced=st.booleans(),
    raw=st.none() | raw_samples,
    program_bytes=nanoseconds,
)
histories = st.builds(
    DeviceHistory,
    serial=texts,
    note=texts,
    first_seen_unix_ns=nanoseconds,
    connected_ns=nanoseconds,
    visits=counts,
    failures=st.dictionaries(st.sampled_from(FailureKind), counts),
    events=st.lists(
        st.builds(DeviceEvent, nanoseconds, st.sampled_from(EventKind), texts), max_size=3
    ).map(tuple),
    sentinels=st.lists(
        st.builds(SentinelReading, nanoseconds, texts, nanoseconds, st.booleans()), max_size=3
    ).map(tuple),
)
states = st.builds(
    DeviceState,
    phase=st.sampled_from(DevicePhase),
    detail=texts,
    since_unix_ns=nanoseconds,
)
statuses = st.builds(
    DeviceStatus,
    device=st.none() | devices,
    transport=texts,
    state=states,
    targets=st.lists(texts, max_size=3).map(tuple),
    queued_jobs=counts,
    note=texts,
    transport_kind=st.none() | st.sampled_from(TransportKind),
    address=texts,
    heat_unknown=st.booleans(),
)
measurement_summaries = st.builds(
    MeasurementSummary,
    id=st.uuids().map(lambda value: value.hex),
    target_id=texts,
    program_sha256=texts,
    unix_ns=nanoseconds,
    latency_ns=st.none() | nanoseconds,
    lower_ns=st.none() | nanoseconds,
    upper_ns=st.none() | nanoseconds,
    raw=st.none() | raw_samples,
    suspect=st.booleans(),
    is_sentinel=st.booleans(),
    is_excluded=st.booleans(),
)
visit_summaries = st.builds(
    VisitSummary,
    run_id=texts,
    traced=st.booleans(),
    runs=counts,
    warmup_runs=counts,
    load_ns=nanoseconds,
    first_run_ns=st.none() | nanoseconds,
    peak_rss_bytes=st.none() | nanoseconds,
    planned_bytes=st.none() | nanoseconds,
    before=conditions,
    after=conditions,
    kernel_names=st.lists(texts, max_size=3).map(tuple),
)
target_details = st.builds(
    TargetDetails,
    status=target_statuses,
    refits=st.lists(refits, max_size=2).map(tuple),
    noise_floor=st.none() | shares,
    newest_age_s=st.none() | st.floats(0, 1e9),
    kernel_kinds=st.dictionaries(texts, counts, max_size=3),
    interval_coverage=st.none() | shares,
)
