"""The client's distribution, alone in environments of its own."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from device_agent.bundle import BundleError
from tests.distribution import debian13
from tests.distribution.conftest import ServedLab
from tests.distribution.environments import LIMIT_S, empty_environment, install, install_for
from tests.host.fake_lab import TARGET
from tests.structure import REPOSITORY

CODE = """
import json, sys, warnings
warnings.simplefilter("error")
import latlab
from google.protobuf import __version__ as protobuf

with latlab.connect() as lab:
    [status] = lab.targets()
    kernels = eval(sys.stdin.read(), {"Kernel": latlab.Kernel})
    [estimate] = lab.predict(status.target.id, [kernels])
heavy = {"numpy", "torch", "scipy", "sqlalchemy", "host", "search", "latency_models"}
print(json.dumps({
    "target": status.target.id,
    "latency_ns": estimate.latency_ns,
    "heavy": sorted(heavy & sys.modules.keys()),
    "versions": [sys.version_info[:2], int(protobuf.split(".")[0])],
}))
"""


def lowest(package: str) -> str:
    """The lowest version of a package that the client's wheel allows, as a requirement."""
    bounds = (REPOSITORY / "latlab/pyproject.toml").read_text()
    found = re.search(rf'"{package}>=([\d.]+),', bounds)
    assert found is not None
    return f"{package}=={found[1]}"


def asked(
    command: Sequence[str | Path], environment: Mapping[str, str], lab: ServedLab
) -> tuple[int, int, int]:
    """Check that the client lists targets and predicts; the versions of Python and protobuf."""
    done = subprocess.run(
        [*command, "-c", CODE],
        input=repr(lab.network.kernels),
        env={"LATLAB_HOME": str(lab.home), **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["target"] == TARGET.id
    assert 0.5 < answer["latency_ns"] / lab.network.latency_ns < 2
    assert answer["heavy"] == []
    (major, minor), protobuf = answer["versions"]
    return major, minor, protobuf


def test_it_needs_nothing_else_with_the_lowest_versions_of_protobuf_6_and_grpc(
    client_wheel: Path, served_lab: ServedLab, tmp_path: Path
) -> None:
    python = empty_environment(tmp_path / "venv")
    install(python, client_wheel, lowest("protobuf"), lowest("grpcio"))
    assert asked([python, "-I"], {}, served_lab)[2] == 6


@pytest.fixture(scope="module")
def python(client_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that holds the client and the newest of what it needs."""
    python = empty_environment(tmp_path_factory.mktemp("client") / "venv")
    install(python, client_wheel, "protobuf>=7")
    return python


def test_it_needs_nothing_else_with_protobuf_7(python: Path, served_lab: ServedLab) -> None:
    assert asked([python, "-I"], {}, served_lab)[2] == 7


def test_the_example_with_asyncio_needs_nothing_else(python: Path, served_lab: ServedLab) -> None:
    done = subprocess.run(
        [python, "-I", REPOSITORY / "docs/examples/ask_with_asyncio.py"],
        env={"LATLAB_HOME": str(served_lab.home)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"{TARGET.name}, {size} pixels" for size in (56, 112, 224)
    ]


@pytest.mark.parametrize("protobuf", [6, 7])
def test_it_runs_with_the_python_of_debian_13(
    protobuf: int, client_wheel: Path, served_lab: ServedLab, tmp_path: Path
) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the packages of Debian 13 are those of amd64")
    try:
        image = debian13.PACKAGES.image()
    except BundleError as error:
        pytest.skip(f"{error}; `python -m tests.distribution.debian13` pins newer packages")
    install_for("3.13", tmp_path, client_wheel, f"protobuf=={protobuf}.*")
    command = [*debian13.python_command(image), "-s", "-P"]
    environment = debian13.python_environment(image, tmp_path)
    assert asked(command, environment, served_lab) == (3, 13, protobuf)
