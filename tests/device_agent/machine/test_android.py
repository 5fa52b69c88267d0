"""What an Android system tells, by commands that answer as its own do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.machine import identity
from device_agent.machine.android import read_battery_level, read_heat, read_property
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


def set_service(root: Path, service: str, report: str) -> None:
    (root / service).write_text(report)
    install(root, "dumpsys", f'[ -f "{root}/$1" ] && cat "{root}/$1"')


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
    set_service(tmp_path, "battery", told)
    assert read_battery_level(tmp_path) == level
    conditions = read_conditions(tmp_path, [0])
    assert (conditions.battery_level if conditions.HasField("battery_level") else None) == level


THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=99.0, mType=0, mName=CPU0, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=37.4, mType=0, mName=CPU0, mStatus=0}
\tTemperature{mValue=31.6, mType=3, mName=skin-therm, mStatus=0}
\tTemperature{mValue=-274.0, mType=9, mName=off, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=3, mType=0, mName=fan}
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=0, mName=CPU0, mHotThrottlingThresholds=[NaN, 95.0]}
"""


def test_a_phone_that_hides_its_sensors_reports_heat_by_its_thermal_service(
    tmp_path: Path,
) -> None:
    set_service(tmp_path, "thermalservice", THERMAL)
    conditions = read_conditions(tmp_path, [0])
    assert conditions.temperature_c == 37.4
    assert conditions.HasField("throttled")
    assert not conditions.throttled


@pytest.mark.parametrize(
    ("report", "throttled"),
    [
        (THERMAL.replace("Status: 0", "Status: 2"), True),
        (THERMAL.replace("{mValue=0, mType=2", "{mValue=4, mType=2"), True),
        ("Thermal Status: 0\n", False),
        ("Can't find service: thermalservice\n", None),
    ],
)
def test_throttling_by_the_thermal_service(
    tmp_path: Path, report: str, throttled: bool | None
) -> None:
    set_service(tmp_path, "thermalservice", report)
    assert read_heat(tmp_path).throttled is throttled


def test_cached_temperatures_count_where_there_are_no_others(tmp_path: Path) -> None:
    report = THERMAL.replace("Current temperatures", "Other temperatures")
    set_service(tmp_path, "thermalservice", report)
    assert read_conditions(tmp_path, [0]).temperature_c == 99.0


def test_sensors_that_can_be_read_are_not_asked_for_again(tmp_path: Path) -> None:
    set_service(tmp_path, "thermalservice", THERMAL)
    zone = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    zone.parent.mkdir(parents=True)
    zone.write_text("41500\n")
    assert read_conditions(tmp_path, [0]).temperature_c == 41.5


@settings(max_examples=30, deadline=None)
@given(report=st.text(max_size=60) | st.text("Temperature{mValue=0123456789.,}:\n\t", max_size=200))
def test_thermal_reports_that_make_no_sense_are_absent(
    tmp_path_factory: pytest.TempPathFactory, report: str
) -> None:
    root = tmp_path_factory.mktemp("phone")
    text = report.encode("utf-8", "replace").decode()
    set_service(root, "thermalservice", f"Current temperatures from HAL:\n{text}")
    conditions = read_conditions(root, [0])
    assert not conditions.HasField("temperature_c") or -40 < conditions.temperature_c < 150


@settings(max_examples=30, deadline=None)
@given(told=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_a_battery_that_makes_no_sense_is_absent(
    tmp_path_factory: pytest.TempPathFactory, told: str
) -> None:
    root = tmp_path_factory.mktemp("phone")
    set_service(root, "battery", f"  level: {told}\n  scale: {told}\n")
    level = read_battery_level(root)
    assert level is None or 0 <= level <= 1
