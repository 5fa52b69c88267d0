"""Compile the runner of a bundle, and check this machine for the tools that this needs.

The compiler is this machine's g++ 12, which newer releases of Debian and Ubuntu have beside their
own: other versions refuse the headers of this one's library. The headers and the linked C and C++
libraries are the bundle's, so the runner needs no newer symbols than the bundle has.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from device_agent.bundle import BundleError

REPOSITORY = Path(__file__).parents[2]
_RUNNER_SOURCES = REPOSITORY / "device_agent/runner"
_GXX = "g++-12"
_TIMEOUT_S = 300.0

# Beside the runner lie the libraries of the agent's copy of it. A wheel's runner lies in the
# package device_agent and finds the package executorch beside that. A bundle's loader asks none.
_RUNPATH = "$ORIGIN:$ORIGIN/../../executorch/lib"


def triplet(machine: str) -> str:
    return f"{machine}-linux-gnu"


def _compiler(machine: str) -> str:
    return f"{triplet(machine)}-{_GXX}"


def check_tools(machine: str) -> None:
    """Check for the tools that compile the runner. Raises BundleError with missing packages."""
    cross = "" if machine == platform.machine() else f"-{triplet(machine).replace('_', '-')}"
    packages = {_compiler(machine): f"{_GXX}{cross}", "make": "make", "dpkg-deb": "dpkg"}
    missing = [tool for tool in packages if shutil.which(tool) is None]
    if missing:
        names = " ".join(packages[tool] for tool in missing)
        are = "are" if len(missing) > 1 else "is"
        raise BundleError(f"{' and '.join(missing)} {are} missing: apt install {names}")


def compile_runner(machine: str, system: Path, executorch: Path, build: Path) -> Path:
    """Compile the runner. The bytes are the same wherever the directories lie.

    `system` is the root of the bundle's Debian packages, and `executorch` the package of the
    machine's wheel. Raises BundleError.
    """
    headers = system / "usr/include"
    compiler_flags = [
        "-nostdinc++",
        *("-isystem", headers / "c++/12", "-isystem", headers / triplet(machine) / "c++/12"),
        *(f"-ffile-prefix-map={folder}=." for folder in (REPOSITORY, build.parent)),
    ]
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine,
        "CMAKE_CXX_COMPILER": _compiler(machine),
        "CMAKE_SYSROOT": system,
        "CMAKE_PREFIX_PATH": executorch,
        "CMAKE_FIND_ROOT_PATH_MODE_PACKAGE": "NEVER",
        "CMAKE_CXX_FLAGS": " ".join(map(str, compiler_flags)),
        "CMAKE_EXE_LINKER_FLAGS": f"-s -L{system}/usr/lib/gcc/{triplet(machine)}/12",
        "LATLAB_RUNPATH": _RUNPATH,
    }
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    cmake = [sys.executable, "-m", "cmake"]
    _run([*cmake, "-S", _RUNNER_SOURCES, "-B", build, *defined])
    _run([*cmake, "--build", build, "--parallel"])
    return build / "latlab-runner"


def _run(command: list[str | Path]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        raise BundleError(f"the runner does not compile:\n{error.stdout}{error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"compiling the runner took longer than {_TIMEOUT_S:g} s") from error
