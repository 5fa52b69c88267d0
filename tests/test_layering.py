"""Who may import whom, what may be imported from elsewhere, and what costs nothing to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import structure

# What each of ours may import from outside, beside the standard library; the others may import
# whatever is installed.
OUTSIDE = {
    "latlab": {"grpc", "google", "grpc_health", "grpc_reflection"},
    "latency_models": {"numpy", "scipy", "sklearn"},
    "device_agent": {"grpc", "google", "cryptography"},
}
TORCH = {"torch", "torchao", "executorch"}
# Exports are made, and networks are built, where torch may be; nowhere else.
WITH_TORCH = ("latlab.export", "search")


def test_imports_follow_the_arrows() -> None:
    assert structure.wrong_imports() == []


def test_no_module_and_no_folder_depends_on_itself() -> None:
    assert structure.module_cycles() == []
    assert structure.folder_cycles() == []


def test_every_folder_has_its_arrows() -> None:
    unknown = {module for module in structure.modules() if not structure.room(module)}
    assert unknown <= {"host"}, "name their folder in tests.structure.ARROWS"


def test_folders_and_files_can_be_held_in_the_head() -> None:
    sizes = structure.folder_sizes()
    assert sizes.pop("latency_models") <= 20  # one folder of pure modules
    sizes.pop("host/database/migrations/versions")  # one for each change of the schema
    assert {name: size for name, size in sizes.items() if size > 12} == {}
    assert {name: lines for name, lines in structure.file_lines().items() if lines > 300} == {}


@pytest.mark.parametrize("package", OUTSIDE)
def test_packages_of_others_are_used_where_they_may(package: str) -> None:
    known = OUTSIDE[package] | set(sys.stdlib_module_names) | set(structure.PACKAGES)
    for module, path in structure.modules().items():
        if structure.is_in(module, package) and not structure.is_in(module, "latlab.export"):
            tops = {name.split(".")[0] for name, _ in structure.imported_names(path)}
            assert tops <= known, module


def test_torch_stays_where_networks_are_built() -> None:
    for module, path in structure.modules().items():
        if not any(structure.is_in(module, room) for room in WITH_TORCH):
            tops = {name.split(".")[0] for name, _ in structure.imported_names(path)}
            assert not tops & TORCH, module


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("latlab", {"grpc", "numpy", "google.protobuf"}),
        ("latlab.client.client", {"numpy", "torch", "executorch"}),
        ("host.daemon", {"sklearn", "torch", "executorch"}),
        ("search.cli", {"torch", "executorch", "sklearn", "scipy", "matplotlib", "optuna"}),
        ("search.cli.networks.measure", {"torch", "executorch", "numpy", "PIL"}),
        ("device_agent.__main__", {"numpy", "torch", "cryptography"}),
    ],
)
def test_what_is_imported_brings_nothing_heavy(imported: str, absent: set[str]) -> None:
    code = f"import sys, {imported}; print(*({absent!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_a_cycle_and_a_wrong_import_would_be_found() -> None:
    assert structure.cycles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]) == [("a", "b", "c")]
    assert structure.cycles([("a", "b"), ("b", "c")]) == []
    wrong = structure.Import("latlab.domain.kernel", "host.daemon", 1)
    assert not structure.is_allowed(wrong)
    assert structure.is_allowed(structure.Import("host.daemon", "host.services.server", 1))
