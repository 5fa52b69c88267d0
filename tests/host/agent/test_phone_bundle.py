"""A phone with the bundle as `make agent-bundle` builds it: nothing on it is borrowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.home import lab_process
from latlab.client.client import LatencyClient
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile
from tests.device_agent.real_bundle import BuiltBundle
from tests.host.jobs.job_ends import ends_of_jobs
from tests.virtual_phone.phone import NoPhone
from tests.virtual_phone.phone_lab import DATA_BYTES, SPEC, lab_with_phone


def test_the_real_bundle_measures_on_a_phone(
    tmp_path: Path, small_programs: list[ProgramFile], built_bundle: BuiltBundle
) -> None:
    bundles = built_bundle("x86_64")[0].parent
    try:
        with lab_with_phone(tmp_path, bundles, DATA_BYTES) as phone_lab:
            lab_process.up(phone_lab.home)
            with LatencyClient.connect(phone_lab.home.root) as client:
                target = phone_lab.plug_in(client)
                loaders = phone_lab.phone.pids("ld-linux-x86-64.so.2 --library-path")
                agents = phone_lab.phone.pids("device_agent")
                assert set(agents) & set(loaders)  # by its own loader and C library
                [measured] = client.measure(target, small_programs[:1], SPEC)
            ended = ends_of_jobs(phone_lab.home)
    except NoPhone as reason:
        pytest.skip(str(reason))
    assert isinstance(measured, MeasuredLatency)
    assert list(ended.values()) == [1]
