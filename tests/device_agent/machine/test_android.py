"""What an Android system tells, by commands that answer as its own do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.machine import identity
from device_agent.machine.android import read_battery_level, read_property
from device_agent.machine.conditions import read_conditions

PHONE = {
    "ro.serialno": "39181FDJH00ABC",
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G3",
    "ro.build.fingerprint": "google/shiba/shiba:14/AP1A.240305.019/11490000:user/release-keys",
}


def install(root: Path, command: str, script: str) -> None:
    path = root / "system/bin" / command
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def set_properties(root: Path, properties: dict[str, str]) -> None:
    cases = "".join(f"{name}) echo '{value}';;\n" for name, value in properties.items())
    install(root, "getprop", f"case $1 in\n{cases}*) echo;;\nesac")


def set_battery(root: Path, text: str) -> None:
    (root / "battery").write_text(text)
    install(root, "dumpsys", f'[ "$1" = battery ] && cat "{root}/battery"')


def test_a_phone_is_named_by_its_properties(tmp_path: Path) -> None:
    set_properties(tmp_path, PHONE)
    assert identity.read_serial(tmp_path, tmp_path) == "39181FDJH00ABC"
    assert identity.read_model(tmp_path) == "Google Pixel 8"
    assert identity.read_soc(tmp_path) == "Google Tensor G3"
    assert identity.read_os_build(tmp_path) == f"Android {PHONE['ro.build.fingerprint']}"


def test_what_a_phone_withholds_is_found_as_elsewhere(tmp_path: Path) -> None:
    set_properties(tmp_path, {"ro.serialno": "unknown"})
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("Hardware\t: Qualcomm SM8550\n")
    assert read_property(tmp_path, "ro.serialno") is None
    assert len(identity.read_serial(tmp_path, tmp_path)) == 16
    assert identity.read_model(tmp_path) == identity.read_soc(tmp_path) == "Qualcomm SM8550"


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ("  level: 83\n  scale: 100\n", 0.83),
        ("  level: 50\n  scale: 200\n", 0.25),
        ("  level: 0\n  scale: 100\n", 0.0),
        ("  Max level: 7\n  level: 101\n  scale: 100\n", None),
        ("  level: 83\n", None),
        ("Can't find service: battery\n", None),
    ],
)
def test_the_battery_s_level(tmp_path: Path, told: str, level: float | None) -> None:
    set_battery(tmp_path, told)
    assert read_battery_level(tmp_path) == level
    conditions = read_conditions(tmp_path, [0])
    assert (conditions.battery_level if conditions.HasField("battery_level") else None) == level


@settings(max_examples=30, deadline=None)
@given(told=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_a_battery_that_makes_no_sense_is_absent(
    tmp_path_factory: pytest.TempPathFactory, told: str
) -> None:
    root = tmp_path_factory.mktemp("phone")
    set_battery(root, f"  level: {told}\n  scale: {told}\n")
    level = read_battery_level(root)
    assert level is None or 0 <= level <= 1
