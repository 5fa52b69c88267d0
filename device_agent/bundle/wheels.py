"""Build the wheels of all distributions: `python -m device_agent.bundle.wheels FOLDER`.

latlab               the client; runs anywhere
latency-lab          the application; the wheels for Linux carry the runner, and the one for
                     any machine carries none
latency-lab-bundle   the agent's bundles for phones and boards

If that fails, it says why and exits with code 2.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from device_agent.bundle import BundleError
from device_agent.bundle.build import LOADERS, build
from device_agent.bundle.toolchain import REPOSITORY

RUNNER = "device_agent/runner/latlab-runner"  # in the wheel; the runner's run path counts on it
BUNDLES_PACKAGE = "latency_lab_bundle"

_APPLICATION = ("host", "device_agent", "latency_models", "search", "README.md", "LICENSE")
_EXECUTORCH_GLIBC = (2, 28)  # what ExecuTorch's own wheels ask for
_TIMEOUT_S = 300.0

# The wheel is for one kind of machine and any Python: it holds a program, and no compiled module.
_PLATFORM_SETUP = """\
from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class PlatformDistribution(Distribution):
    def has_ext_modules(self):
        return True


class PlatformWheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", "{platform}"


setup(distclass=PlatformDistribution, cmdclass={{"bdist_wheel": PlatformWheel}})
"""

_BUNDLES_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77,<90"]
build-backend = "setuptools.build_meta"

[project]
name = "latency-lab-bundle"
version = "{version}"
description = "Latency Lab's agent for phones and boards, with its Python, C library and runner"
license = "Apache-2.0 AND PSF-2.0 AND LGPL-2.1-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1"
requires-python = ">=3.10"

[tool.setuptools]
packages = ["latency_lab_bundle"]

[tool.setuptools.package-data]
latency_lab_bundle = ["**/*"]
"""


def client_wheel(folder: Path) -> Path:
    """Build the wheel of `latlab` in `folder` and return it. Raises BundleError."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        _copy(("latlab", "LICENSE"), source)
        (source / "latlab/pyproject.toml").rename(source / "pyproject.toml")
        return _wheel(source, folder)


def application_wheel(folder: Path, machine: str | None = None, runner: Path | None = None) -> Path:
    """Build a wheel of `latency-lab` in `folder` and return it. Raises BundleError.

    Args:
        folder: Where the wheel is written to.
        machine: The kind of machine that the wheel is for, as `uname -m` names it; None for any.
        runner: The runner for that machine, which the wheel carries.
    """
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        _copy(_APPLICATION, source)
        # In the checkout one editable install serves both distributions.
        pyproject = (REPOSITORY / "pyproject.toml").read_text().replace('"latlab*", ', "")
        needed = f'dependencies = [\n    "latlab=={version()}",'
        pyproject = pyproject.replace("dependencies = [", needed, 1)
        (source / "pyproject.toml").write_text(pyproject)
        if runner is not None:
            shutil.copy(runner, source / RUNNER)
            platform = f"manylinux_{'_'.join(map(str, glibc_version(runner)))}_{machine}"
            (source / "setup.py").write_text(_PLATFORM_SETUP.format(platform=platform))
        return _wheel(source, folder)


def bundles_wheel(folder: Path, bundles: Mapping[str, Path]) -> Path:
    """Build the wheel of the agent's bundles, by machine, in `folder` and return it.

    Raises BundleError.
    """
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        package = source / BUNDLES_PACKAGE
        package.mkdir()
        (package / "__init__.py").write_text('"""The agent\'s bundles, a folder by machine."""\n')
        for machine, bundle in bundles.items():
            shutil.copytree(bundle, package / machine)
        pyproject = _BUNDLES_PYPROJECT.format(version=version())
        (source / "pyproject.toml").write_text(pyproject)
        return _wheel(source, folder)


def version() -> str:
    """Return the version of all distributions."""
    found = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.M)
    assert found is not None
    return found[1]


def glibc_version(runner: Path) -> tuple[int, int]:
    """Return the oldest glibc that a runner and ExecuTorch's libraries start with.

    Raises BundleError.
    """
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", _run("readelf", "--version-info", runner))
    return max(_EXECUTORCH_GLIBC, *((int(major), int(minor)) for major, minor in versions))


def _copy(names: tuple[str, ...], source: Path) -> None:
    for name in names:
        original = REPOSITORY / name
        if original.is_dir():
            shutil.copytree(original, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(original, source / name)


def _wheel(source: Path, folder: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
        _run(*pip, "--no-build-isolation", "--wheel-dir", name, source)
        [wheel] = Path(name).glob("*.whl")
        return wheel.replace(folder / wheel.name)


def _run(*command: str | Path) -> str:
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise BundleError(f"{command[0]} is missing: apt install binutils") from error
    except subprocess.CalledProcessError as error:
        raise BundleError(f"{command[0]} failed:\n{error.stdout}{error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{command[0]} took longer than {_TIMEOUT_S:g} s") from error
    return done.stdout


def main() -> int:
    """Build all wheels for all machines."""
    parser = argparse.ArgumentParser(
        prog="python -m device_agent.bundle.wheels", description="Builds all wheels."
    )
    parser.add_argument("folder", type=Path, help="where the wheels are written to")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        bundles = {machine: build(machine, REPOSITORY / "build/bundle")[0] for machine in LOADERS}
        wheels = [client_wheel(folder), application_wheel(folder), bundles_wheel(folder, bundles)]
        for machine, bundle in bundles.items():
            wheels.append(application_wheel(folder, machine, bundle / "bin/latlab-runner"))
    except BundleError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 2
    for wheel in wheels:
        print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
