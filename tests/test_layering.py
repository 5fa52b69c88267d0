"""Who may import whom. Nothing points the other way."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "protos": {"protos"},
    "latency_models": {"numpy", "scipy", "sklearn"},
    "device_agent": {"protos", "grpc", "grpc_health", "grpc_reflection", "google", "cryptography"},
    "host": {"latency_models", "protos"},
    "search": {"host", "latency_models"},
}
OURS = {"protos", "latency_models", "device_agent", "host", "search", "tests"}
# Beside the exports, only the client, the command, the nouns that the client speaks in, and
# what writes files.
HOST_FOR_SEARCH = {
    "comparison",
    "cli",
    "cli_measurements",
    "client",
    "console",
    "doctor",
    "domain",
    "errors",
    "export",
    "files",
    "first_phone",
    "home",
    "lab",
    "summary",
}
# The daemon is torch-free; so is what every command imports.
TORCH_ONLY_IN = ("host/export/", "search/")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(package: str) -> list[Path]:
    return [
        path
        for path in (REPOSITORY / package).rglob("*.py")
        if not path.stem.endswith(("pb2", "grpc"))
    ]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    for path in sources(package):
        for name in imports(path):
            top = name.split(".")[0]
            if top in OURS:
                assert top in MAY_IMPORT[package] | {package}, f"{path} imports {name}"
            elif package in ("latency_models", "device_agent"):
                known = MAY_IMPORT[package] | set(sys.stdlib_module_names)
                assert top in known, f"{path} imports {name}"


def test_search_sees_only_the_hosts_front() -> None:
    for path in sources("search"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "host":
                assert parts[1] in HOST_FOR_SEARCH, f"{path} imports {name}"


def test_torch_stays_where_networks_are_built() -> None:
    for package in MAY_IMPORT:
        for path in sources(package):
            relative = path.relative_to(REPOSITORY).as_posix()
            if not relative.startswith(TORCH_ONLY_IN):
                tops = {name.split(".")[0] for name in imports(path)}
                assert not tops & {"torch", "executorch"}, relative
