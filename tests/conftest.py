from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers share the cores

from host.home.paths import LabHome
from tests.virtual_phone.adb_server import adb_server
from tests.virtual_phone.phone import NoPhone

# What starts a runner, an agent, a lab or Ray takes turns in one worker: it measures, or takes
# an address or a port that the others take too. Everything else stays together by file.
MEASURING = (
    "tests/device_agent/",
    "tests/host/agent/",
    "tests/host/cli/",
    "tests/host/devices/",
    "tests/host/doctor/",
    "tests/host/home/",
    "tests/host/services/",
    "tests/networks/",
    "tests/old_lab/",
    "tests/search/accuracy/test_workers.py",
    "tests/virtual_phone/",
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = "measuring" if file.startswith(MEASURING) else file
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def runner() -> Path:
    """The real runner."""
    path = LabHome(Path()).runner
    if not path.is_file():
        pytest.fail(f"no runner at {path}: run `make runner`")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No lab of a test measures on a phone that is plugged into this machine."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with adb_server(tmp_path_factory.mktemp("adb")) as server:
                patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
                yield
        except NoPhone:  # without adb no lab finds any
            yield
