"""Hashes and texts that stored measurements and studies rest on. A change of any of them
orphans what users have measured: change the code, never these values."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from host.database.jobs import spec_from_text, spec_to_text
from host.measuring.comparison import paired_spec
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.kernel import Kernel
from latlab.domain.target import Target
from search.space.architecture import Architecture
from search.space.space import SPACES
from search.space.zoo import ZOO
from tests.old_lab.narrow_space import narrow_space

TARGET = Target(
    device_model="AMD EPYC",
    os_build="Debian GNU/Linux 12 (bookworm), Linux 6.1",
    runtime_version="executorch 1.5.1+cpu",
    runner_build="42ccc75311cb6865",
    backend="xnnpack",
    threads=1,
    core_class="all",
)

CONVOLUTION = Kernel(
    "conv2d",
    ((1, 224, 224, 3),),
    (1, 112, 112, 8),
    kernel_size=(3, 5),
    stride=(2, 1),
    dilation=2,
    groups=4,
    activation="relu",
    dtype="float16",
)


def test_a_target_keeps_its_id_and_its_name() -> None:
    assert TARGET.id == "2a45c52255d2ca7e"
    assert TARGET.name == "amd-epyc/all/1t"


@pytest.mark.parametrize(
    ("architecture", "id"),
    [
        (ZOO["mnasnet-a1"], "bd7f4b99d56f"),
        (ZOO["mnasnet-b1"], "9ae7d8d5fbb3"),
        (ZOO["mnasnet-small"], "fa9c96563c01"),
        (ZOO["mobilenet-v2"], "e007cef1f71d"),
        (SPACES["mnasnet"].resolve(SPACES["mnasnet"].smallest), "8ae3fa4c7483"),
        (SPACES["accel-nas-bench"].resolve(SPACES["accel-nas-bench"].smallest), "55c6f0219f07"),
        (narrow_space().resolve(narrow_space().smallest), "9e42c67d5aca"),
    ],
)
def test_an_architecture_keeps_its_id(architecture: Architecture, id: str) -> None:
    assert architecture.id == id


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            BenchmarkSpec(),
            (
                '{"max_visits": 11, "min_visits": 6, "spacing_ns": 5000000000, "tolerance": 0.01, '
                '"traced_visits": 2, "visit": {"core_class": "all", "deadline_ns": 60000000000, '
                '"max_timed_runs": 2000, "seed": 0, "threads": 1, "timed_ns": 200000000, '
                '"timed_runs": 10, "traced": false, "warmup_ns": 100000000, "warmup_runs": 10}}'
            ),
        ),
        (
            BenchmarkSpec.sustained(30),
            (
                '{"max_visits": 11, "min_visits": 6, "spacing_ns": 0, "tolerance": 0.01, '
                '"traced_visits": 0, "visit": {"core_class": "all", "deadline_ns": 90000000000, '
                '"max_timed_runs": 1000000, "seed": 0, "threads": 1, "timed_ns": 200000000, '
                '"timed_runs": 10, "traced": false, "warmup_ns": 30000000000, "warmup_runs": 10}}'
            ),
        ),
        (
            BenchmarkSpec.quick(),
            (
                '{"half_width": 0.05, "max_visits": 11, "min_visits": 4, "spacing_ns": 5000000000, '
                '"tolerance": 0.01, "traced_visits": 0, "visit": {"core_class": "all", '
                '"deadline_ns": 60000000000, "max_timed_runs": 2000, "seed": 0, "threads": 1, '
                '"timed_ns": 200000000, "timed_runs": 10, "traced": false, '
                '"warmup_ns": 100000000, "warmup_runs": 10}}'
            ),
        ),
        (
            BenchmarkSpec.for_search(),
            (
                '{"max_visits": 6, "min_visits": 6, "spacing_ns": 5000000000, "tolerance": 0.01, '
                '"traced_visits": 2, "visit": {"core_class": "all", "deadline_ns": 60000000000, '
                '"max_timed_runs": 2000, "seed": 0, "threads": 1, "timed_ns": 200000000, '
                '"timed_runs": 10, "traced": false, "warmup_ns": 100000000, "warmup_runs": 10}}'
            ),
        ),
        (
            paired_spec(20),
            (
                '{"max_visits": 20, "min_visits": 20, "spacing_ns": 0, "tolerance": 0.01, '
                '"traced_visits": 0, "visit": {"core_class": "all", "deadline_ns": 60000000000, '
                '"max_timed_runs": 2000, "seed": 0, "threads": 1, "timed_ns": 200000000, '
                '"timed_runs": 10, "traced": false, "warmup_ns": 100000000, "warmup_runs": 10}}'
            ),
        ),
        (
            BenchmarkSpec(VisitSpec(threads=2, core_class="big", traced=True), tolerance=0.05),
            (
                '{"max_visits": 11, "min_visits": 6, "spacing_ns": 5000000000, "tolerance": 0.05, '
                '"traced_visits": 2, "visit": {"core_class": "big", "deadline_ns": 60000000000, '
                '"max_timed_runs": 2000, "seed": 0, "threads": 2, "timed_ns": 200000000, '
                '"timed_runs": 10, "traced": true, "warmup_ns": 100000000, "warmup_runs": 10}}'
            ),
        ),
    ],
)
def test_a_spec_is_stored_as_the_same_text(spec: BenchmarkSpec, text: str) -> None:
    assert spec_to_text(spec) == text
    assert spec_from_text(text) == spec


@pytest.mark.parametrize(
    ("kernel", "text", "fields"),
    [
        (
            CONVOLUTION,
            "conv2d 1x224x224x3->1x112x112x8 k3x5 s2x1 d2 g4 relu float16",
            (
                '{"kind": "conv2d", "inputs": [[1, 224, 224, 3]], "output": [1, 112, 112, 8], '
                '"kernel_size": [3, 5], "stride": [2, 1], "dilation": 2, "groups": 4, '
                '"activation": "relu", "dtype": "float16"}'
            ),
        ),
        (
            Kernel("add", ((1, 7, 7, 8), (1, 1, 1, 8)), (1, 7, 7, 8)),
            "add 1x7x7x8+1x1x1x8->1x7x7x8 k1x1 s1x1 d1 g1 linear float32",
            (
                '{"kind": "add", "inputs": [[1, 7, 7, 8], [1, 1, 1, 8]], "output": [1, 7, 7, 8], '
                '"kernel_size": [1, 1], "stride": [1, 1], "dilation": 1, "groups": 1, '
                '"activation": "", "dtype": "float32"}'
            ),
        ),
        (
            Kernel("portable:erf", ((),), ()),
            "portable:erf scalar-> k1x1 s1x1 d1 g1 linear float32",
            (
                '{"kind": "portable:erf", "inputs": [[]], "output": [], "kernel_size": [1, 1], '
                '"stride": [1, 1], "dilation": 1, "groups": 1, "activation": "", '
                '"dtype": "float32"}'
            ),
        ),
    ],
)
def test_a_kernel_is_stored_as_the_same_text(kernel: Kernel, text: str, fields: str) -> None:
    assert str(kernel) == text
    assert json.dumps(asdict(kernel)) == fields
