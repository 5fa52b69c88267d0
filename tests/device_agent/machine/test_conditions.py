"""Conditions and identity, read from made-up machines."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.machine import identity
from device_agent.machine.conditions import read_conditions
from latlab.v1.device_agent_pb2 import CoreClass

NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def cpufreq(cpu: int, **values: object) -> dict[str, str]:
    return {
        f"sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}": f"{value}\n"
        for name, value in values.items()
    }


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    told = read_conditions(tmp_path, [0])
    assert [field.name for field, _ in told.ListFields()] == ["unix_ns"]


def test_a_machine_that_tells_everything(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": "41500\n",
            "sys/class/thermal/thermal_zone1/temp": "62000\n",
            "sys/class/thermal/thermal_zone2/temp": "-274000\n",  # a disabled sensor
            "sys/class/thermal/thermal_zone3/temp": "not available\n",
            "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
            "sys/class/thermal/cooling_device0/cur_state": "2\n",
            "sys/class/power_supply/usb/type": "USB\n",
            "sys/class/power_supply/battery/type": "Battery\n",
            "sys/class/power_supply/battery/capacity": "83\n",
            "proc/loadavg": "0.52 0.58 0.59 1/467 12345\n",
            "proc/stat": "cpu 9 9 9 9 9 9 9 99 0 0\n"
            "cpu0 1 1 1 1 1 1 1 10 0 0\ncpu1 1 1 1 1 1 1 1 7 0 0\n"
            "cpu10 1 1 1 1 1 1 1 5 0 0\nintr 1 2\n",
            **cpufreq(0, scaling_cur_freq=1_000_000, scaling_governor="powersave"),
            **cpufreq(1, scaling_cur_freq=2_000_000, scaling_governor="performance"),
            **cpufreq(10, scaling_cur_freq=3_000_000, scaling_governor="performance"),
        },
    )
    told = read_conditions(tmp_path, [1, 10])
    assert told.temperature_c == 62.0
    assert told.clock_khz == 2_500_000
    assert told.governor == "performance"
    assert told.battery_level == 0.83
    assert told.load_1min == 0.52
    assert told.steal_ns == 12 * NS_PER_TICK
    assert told.throttled is True
    assert read_conditions(tmp_path, [0, 1]).governor == "performance+powersave"


def test_a_cool_machine_is_not_throttled(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "sys/class/thermal/cooling_device0/type": "Processor\n",
            "sys/class/thermal/cooling_device0/cur_state": "0\n",
            "sys/class/thermal/cooling_device1/type": "Fan\n",
            "sys/class/thermal/cooling_device1/cur_state": "3\n",
        },
    )
    told = read_conditions(tmp_path, [0])
    assert told.HasField("throttled")
    assert not told.throttled


@settings(max_examples=50, deadline=None)
@given(
    texts=st.fixed_dictionaries(
        {
            name: st.text(max_size=40) | st.integers().map(str)
            for name in (
                "proc/stat",
                "proc/loadavg",
                "proc/cpuinfo",
                "etc/os-release",
                "sys/class/thermal/thermal_zone0/temp",
                "sys/class/power_supply/b/capacity",
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
            )
        }
    )
)
def test_nonsense_is_absent_not_an_error(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    write(root, {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()})
    assert read_conditions(root, [0]).unix_ns > 0
    assert identity.read_model(root)
    assert identity.read_soc(root)
    assert identity.read_os_build(root)


def test_cores_that_nothing_tells_apart_are_one_class(tmp_path: Path) -> None:
    assert identity.read_core_classes(tmp_path, {2, 0, 1}) == [
        CoreClass(name="all", cpus=[0, 1, 2])
    ]


def test_a_phone_has_little_big_and_prime_cores(tmp_path: Path) -> None:
    clocks_khz = [1_800_000] * 4 + [2_400_000] * 3 + [3_000_000]
    for cpu, clock_khz in enumerate(clocks_khz):
        write(tmp_path, cpufreq(cpu, cpuinfo_max_freq=clock_khz))
    assert identity.read_core_classes(tmp_path, set(range(8))) == [
        CoreClass(name="little", cpus=[0, 1, 2, 3], max_clock_khz=1_800_000),
        CoreClass(name="big", cpus=[4, 5, 6], max_clock_khz=2_400_000),
        CoreClass(name="prime", cpus=[7], max_clock_khz=3_000_000),
    ]
    assert [each.name for each in identity.read_core_classes(tmp_path, {0, 7})] == ["little", "big"]


def test_capacity_tells_cores_of_one_clock_apart(tmp_path: Path) -> None:
    for cpu, capacity in enumerate([400, 400, 1024]):
        write(tmp_path, cpufreq(cpu, cpuinfo_max_freq=2_000_000))
        write(tmp_path, {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": f"{capacity}\n"})
    little, big = identity.read_core_classes(tmp_path, {0, 1, 2})
    assert (list(little.cpus), list(big.cpus)) == ([0, 1], [2])


def test_favoured_cores_are_of_the_class_of_their_like(tmp_path: Path) -> None:
    for cpu, clock_khz in enumerate([5_600_000, 5_800_000, 4_300_000]):
        write(tmp_path, cpufreq(cpu, cpuinfo_max_freq=clock_khz))
    little, big = identity.read_core_classes(tmp_path, {0, 1, 2})
    assert (list(little.cpus), list(big.cpus)) == ([2], [0, 1])


@settings(max_examples=50, deadline=None)
@given(speeds=st.dictionaries(st.integers(0, 63), st.integers(0, 6_000_000), min_size=1))
def test_every_core_is_in_exactly_one_class_and_no_class_overlaps_in_speed(
    tmp_path_factory: pytest.TempPathFactory, speeds: dict[int, int]
) -> None:
    root = tmp_path_factory.mktemp("root")
    for cpu, speed in speeds.items():
        write(root, cpufreq(cpu, cpuinfo_max_freq=speed))
    classes = identity.read_core_classes(root, speeds.keys())
    assert sorted(cpu for each in classes for cpu in each.cpus) == sorted(speeds)
    assert len({each.name for each in classes}) == len(classes)
    for slower, faster in itertools.pairwise(classes):
        assert max(speeds[cpu] for cpu in slower.cpus) < min(speeds[cpu] for cpu in faster.cpus)


def test_the_serial_is_the_installation_s_own_or_kept(tmp_path: Path) -> None:
    write(tmp_path, {"etc/machine-id": "c0ffee\n"})
    serial = identity.read_serial(tmp_path, tmp_path / "state-1")
    assert serial == identity.read_serial(tmp_path, tmp_path / "state-2")
    assert "c0ffee" not in serial

    for kept in ("a", "b"):
        (tmp_path / kept).mkdir()
    write(tmp_path, {"etc/machine-id": "\n"})
    made = identity.read_serial(tmp_path, tmp_path / "a")
    assert made == identity.read_serial(tmp_path, tmp_path / "a")
    assert made != identity.read_serial(tmp_path, tmp_path / "b")


def test_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/cpuinfo": "processor\t: 0\nHardware\t: BCM2835\nprocessor\t: 1\n",
            "proc/meminfo": "MemTotal:        8000 kB\nMemFree: 1 kB\n",
            "etc/os-release": 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "proc/sys/kernel/osrelease": "6.6.31-rpi\n",
        },
    )
    assert identity.read_model(tmp_path) == "Raspberry Pi 5 Model B Rev 1.0"
    assert identity.read_soc(tmp_path) == "BCM2835"
    assert identity.read_memory_bytes(tmp_path) == 8_192_000
    assert identity.read_os_build(tmp_path) == "Debian GNU/Linux 12 (bookworm), Linux 6.6.31-rpi"


def test_a_computer_is_named_by_its_firmware(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
            "sys/class/dmi/id/product_name": "OptiPlex 7000\n",
            "proc/cpuinfo": "model name\t: 12th Gen Intel(R) Core(TM) i5-12500\n",
        },
    )
    assert identity.read_model(tmp_path) == "Dell Inc. OptiPlex 7000"
    assert identity.read_soc(tmp_path) == "12th Gen Intel(R) Core(TM) i5-12500"


@pytest.mark.parametrize(
    ("cpuinfo", "fast"),
    [
        ("processor\t: 0\nFeatures\t: fp asimd fphp asimdhp\n" * 2, True),
        ("Features\t: fp asimd asimdhp\nFeatures\t: fp asimd\n", False),
        ("flags\t\t: fpu avx2 f16c\n", False),
        ("flags\t\t: fpu avx512_fp16\n", True),
        ("Hardware\t: BCM2835\n", None),
    ],
)
def test_float16_is_fast_where_every_core_has_its_instructions(
    tmp_path: Path, cpuinfo: str, fast: bool | None
) -> None:
    write(tmp_path, {"proc/cpuinfo": cpuinfo})
    assert identity.read_fast_fp16(tmp_path) is fast
