from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers share the cores

from host.home.paths import LabHome
from latlab.domain.program import ProgramFile
from tests.device_agent.real_bundle import BuiltBundle, build_in
from tests.virtual_phone.adb_server import adb_server
from tests.virtual_phone.phone import NoPhone

# A busy machine takes any time for an example.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# What starts runners, agents or phones takes turns in one worker, and what starts labs in another:
# those take addresses and ports that the others of their kind take too. The rest stays together by
# file, in any worker.
AGENTS = (
    "tests/device_agent/",
    "tests/host/agent/",
    "tests/host/devices/test_phone_",
    "tests/virtual_phone/",
)
LABS = (
    "tests/distribution/test_application.py",
    "tests/host/cli/",
    "tests/host/devices/",
    "tests/host/doctor/",
    "tests/host/home/",
    "tests/host/services/test_lab.py",
    "tests/host/services/test_lab_status.py",
    "tests/host/services/test_operated_daemon.py",
    "tests/host/services/test_previous_client.py",
    "tests/old_lab/",
    "tests/search/accuracy/test_workers.py",
)

# Its files share predictors that take seconds to fit.
LATENCY_MODELS = ("tests/latency_models/",)

TOGETHER = {"agents": AGENTS, "labs": LABS, "latency models": LATENCY_MODELS}

# What `make test-fast` runs: no runner, agent, export or training, and nothing that is fitted.
FAST = (
    "tests/host/database/",
    "tests/host/jobs/",
    "tests/host/measuring/",
    "tests/host/predicting/",
    "tests/latency_models/test_alignment.py",
    "tests/latency_models/test_features.py",
    "tests/latency_models/test_kernel.py",
    "tests/latlab/client/",
    "tests/latlab/common/",
    "tests/latlab/convert/",
    "tests/latlab/domain/",
    "tests/latlab/profiling/",
    "tests/latlab/test_latlab.py",
    "tests/search/space/test_counts.py",
    "tests/search/space/test_space.py",
    "tests/search/strategies/",
    "tests/search/study/",
    "tests/test_",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, under `-m fast`, the modules without a fast test: importing torch, ExecuTorch and
    the rest for them would take half of the time."""
    if config.option.markexpr != "fast" or collection_path.is_dir():
        return None
    file = collection_path.relative_to(config.rootpath).as_posix()
    return None if file.startswith(FAST) else True


def pytest_itemcollected(item: pytest.Item) -> None:
    file = item.nodeid.partition("::")[0]
    group = next((name for name, files in TOGETHER.items() if file.startswith(files)), file)
    item.add_marker(pytest.mark.xdist_group(group))
    if file.startswith(FAST):
        item.add_marker(pytest.mark.fast)


@pytest.fixture(scope="session")
def runner() -> Path:
    """The real runner."""
    path = LabHome(Path()).runner
    if not path.is_file():
        pytest.fail(f"no runner at {path}: run `make runner`")
    return path


@pytest.fixture(scope="session")
def small_programs(tmp_path_factory: pytest.TempPathFactory) -> list[ProgramFile]:
    """Real programs that run in microseconds."""
    import torch
    from torch import nn

    from latlab.export import export_program

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("programs")
    files = []
    for channels in (8, 16, 24, 32, 40, 48):
        network = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * channels, 10),
        )
        program, data = export_program(network.eval(), (1, 3, 32, 32))
        path = folder / f"{channels}.pte"
        path.write_bytes(data)
        files.append(ProgramFile(program, path))
    return files


@pytest.fixture(scope="session")
def built_bundle(tmp_path_factory: pytest.TempPathFactory) -> BuiltBundle:
    """Return a machine's bundle and its archive, built once in a session."""
    return functools.cache(
        lambda machine: build_in(tmp_path_factory.mktemp(f"bundle-{machine}"), machine)
    )


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
