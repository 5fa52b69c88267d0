"""The files and answers by which Android tells of a phone, in the formats that it documents."""

from __future__ import annotations

import os
from pathlib import Path

MODEL = "Latency Lab Virtual"
SERIAL = "VP0123456789"
PROPERTIES = {
    "ro.serialno": SERIAL,
    "ro.product.manufacturer": "Latency Lab",
    "ro.product.model": "Virtual",
    "ro.product.cpu.abi": "x86_64",
    "ro.soc.manufacturer": "Latency Lab",
    "ro.soc.model": "VSOC1",
    "ro.build.version.release": "14",
    "ro.build.fingerprint": "latlab/virtual/virtual:14/AP1A.240305.019/1:user/release-keys",
}
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3124000
  status: 2
  health: 2
  present: true
  level: 83
  scale: 100
  voltage: 4210
  temperature: 290
  technology: Li-ion
"""
THERMAL = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
HAL Ready: true
HAL connection:
	ThermalHAL 2.0 connected: yes
Current temperatures from HAL:
	Temperature{mValue=38.0, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=31.2, mType=3, mName=skin-therm, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
"""
LITTLE = {"cpu_capacity": 325, "cpufreq/cpuinfo_max_freq": 1_800_000}
BIG = {"cpu_capacity": 1024, "cpufreq/cpuinfo_max_freq": 2_850_000}


def write_files(root: Path) -> None:
    """The first half of this machine's cores are little, the others big."""
    cpus = os.cpu_count() or 1
    present = "0" if cpus == 1 else f"0-{cpus - 1}"
    files: dict[str, object] = {
        "system/dumpsys/battery": BATTERY,
        "system/dumpsys/thermalservice": THERMAL,
        "sys/class/thermal/thermal_zone0/type": "cpu-0-0-usr",
        "sys/class/thermal/thermal_zone0/temp": 36_500,
        "sys/class/thermal/thermal_zone1/type": "skin-therm",
        "sys/class/thermal/thermal_zone1/temp": 31_200,
        "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0",
        "sys/class/thermal/cooling_device0/cur_state": 0,
        "sys/devices/system/cpu/possible": present,
        "sys/devices/system/cpu/present": present,
        "sys/devices/system/cpu/online": present,
    }
    for cpu in range(cpus):
        clock = LITTLE if cpu < cpus // 2 else BIG
        files |= {
            f"sys/devices/system/cpu/cpu{cpu}/{name}": value
            for name, value in {
                **clock,
                "cpufreq/scaling_cur_freq": clock["cpufreq/cpuinfo_max_freq"],
                "cpufreq/scaling_min_freq": 300_000,
                "cpufreq/scaling_max_freq": clock["cpufreq/cpuinfo_max_freq"],
                "cpufreq/scaling_governor": "schedutil",
            }.items()
        }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    _write_properties(root, PROPERTIES)


def set_property(root: Path, name: str, value: str) -> None:
    lines = (root / "system/build.prop").read_text().splitlines()
    _write_properties(root, {**dict(line.split("=", 1) for line in lines), name: value})


def _write_properties(root: Path, properties: dict[str, str]) -> None:
    lines = (f"{name}={value}\n" for name, value in properties.items())
    (root / "system/build.prop").write_text("".join(lines))
