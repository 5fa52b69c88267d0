"""lab.toml: what it says, and where it is mistaken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host.home.config import NO_GROUP, Group, LabConfig, load_config
from latlab.domain.access.limits import Limits
from latlab.domain.errors import InvalidRequest


def load(folder: Path, text: str) -> LabConfig:
    path = folder / "lab.toml"
    path.write_text(text)
    return load_config(path)


def test_without_a_file_every_device_is_used(tmp_path: Path) -> None:
    config = load_config(tmp_path / "lab.toml")
    assert config == LabConfig() == load(tmp_path, "")
    assert config.takes("emulator-5554")
    assert config.chosen_boards(["a:1", "b:2"]) == ["a:1", "b:2"]


def test_what_it_names_is_used_and_nothing_else(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
boards = ["pi.local:7070", "[fe80::1]:7070"]
[phones]
take = ["R5C*", "X"]
leave = ["R5C9*"]
""",
    )
    assert list(config.chosen_boards(["other:1"])) == ["pi.local:7070", "[fe80::1]:7070"]
    assert [config.takes(serial) for serial in ("R5C1", "X", "R5C9A", "Y", "r5c1")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert list(load(tmp_path, "boards = []").chosen_boards(["other:1"])) == []
    assert load(tmp_path, 'phones.leave = ["a"]').takes("b")


def test_a_device_is_of_the_first_group_that_one_of_its_names_fits(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
[groups.desk]
devices = ["R5C1", "pi.local:*"]
max_c = 40
[groups.pixels]
devices = ["Google Pixel*", "R5C*"]
core_classes = ["big", "prime"]
""",
    )
    desk = Group("desk", ("R5C1", "pi.local:*"), None, 40.0)
    pixels = Group("pixels", ("Google Pixel*", "R5C*"), ("big", "prime"))
    assert config.groups == (desk, pixels)
    assert config.group_of("R5C1", "Google Pixel 8", "adb:R5C1") == desk
    assert config.group_of("5e", "Raspberry Pi 5", "pi.local:7070") == desk
    assert config.group_of("R5C2", "Samsung", "adb:R5C2") == pixels
    assert config.group_of("5e", "Samsung", "adb:5e") == NO_GROUP


def test_jobs_end_after_a_day_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, "").max_age_h == 24
    assert load(tmp_path, "[jobs]\nmax_age_h = 1.5\n").max_age_h == 1.5


def test_metrics_have_a_free_port_unless_it_names_one(tmp_path: Path) -> None:
    assert load(tmp_path, "").metrics_port is None
    for port in (0, 9464, 65_535):
        assert load(tmp_path, f"[operation]\nmetrics_port = {port}\n").metrics_port == port


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("boards = []\nphones =\n", 2, ""),
        ("# boards, gruops\nboards = []\n\ngruops = 1\n", 4, "gruops"),
        ("[phones]\ntake = []\n\n[heat]\nmax_c = 40\n", 4, "heat"),
        ("[phones]\n# skip = 1\nskip = []\n", 3, "skip"),
        ('boards = [\n  "a:1",\n  "no-port",\n]\n', 3, "no-port"),
        ('boards = ["a:1",\n  "a:70000"]\n', 2, "a:70000"),
        ('boards = "a:1"\n', 1, "list"),
        ("phones = 3\n", 1, "table"),
        (
            "boards = []\n[phones]\ntake = ['take']\nleave = [\n 'a',\n 7]\n",
            6,
            "leave.1.*7",
        ),
        ("boards = []\nphones.take = true\n", 2, "take"),
        ('"boards" = []\n"x y" = 1\n', 2, "x y"),
        ("groups = 1\n", 1, "table"),
        ("[groups]\na = 1\n", 2, "groups.a"),
        ("[groups.a]\nmax_c = 40\n", 1, "devices"),
        ("[groups.a]\ndevices = []\n", 2, r"groups\.a\.devices"),
        ("[groups.a]\ndevices = ['*']\ncores = ['big']\n", 3, "cores"),
        ("[groups.a]\ndevices = ['*']\ncore_classes = []\n", 3, "core_classes"),
        ("[groups.a]\ndevices = ['*']\n[groups.b]\ndevices = ['*']\nmax_c = true\n", 5, "max_c"),
        ("[groups.a]\ndevices = ['*']\nmax_c = nan\n", 3, "max_c"),
        ("[jobs]\nmax_age_h = 0\n", 2, "max_age_h.*hours"),
        ("[jobs]\nmax_age = 1\n", 2, "max_age"),
        ("[operation]\nmetrics_port = 65536\n", 2, "metrics_port.*port"),
        ("[operation]\nmetrics_port = true\n", 2, "metrics_port"),
        ('[operation]\nmetrics_port = "0.0.0.0:9464"\n', 2, "metrics_port"),
        ("[operation]\nmetrics_address = 1\n", 2, "metrics_address"),
    ],
)
def test_a_mistake_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, word: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"line {line}\\b.*{word}"):
        load(tmp_path, text)


def test_limits_are_of_everybody_or_of_one_owner(tmp_path: Path) -> None:
    limits = load(
        tmp_path,
        """\
[limits]
calls_per_s = 50
open_jobs = 1000
[limits.owners.ci]
device_minutes_per_day = 60
open_jobs = 10
[limits.owners."ann@team"]
calls_per_s = 0.5
""",
    ).limits
    assert limits.of("bob") == Limits(50, 1000)
    assert limits.of("ci") == Limits(50, 10, device_minutes_per_day=60)
    assert limits.of("ann@team") == Limits(0.5, 1000)
    assert limits.of("local") == Limits()  # the owner of the lab is not locked out
    own = load(tmp_path, "[limits]\nopen_jobs = 5\n[limits.owners.local]\ncalls_per_s = 2").limits
    assert own.of("local") == Limits(calls_per_s=2)
    assert load(tmp_path, "").limits.of("anybody") == Limits()


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("[limits]\ncalls_per_s = 0", 2, "limits.calls_per_s"),
        ("[limits]\nopen_jobs = -1", 2, "limits.open_jobs"),
        ("[limits]\nopen_jobs = true", 2, "limits.open_jobs"),
        ("[limits]\nopen_jobs = nan", 2, "limits.open_jobs"),
        ('[limits]\nopen_jobs = "many"', 2, "limits.open_jobs"),
        ("[limits]\njobs = 1", 2, "limits.jobs"),
        ("[limits.owners.ci]\nopen_jobs = 0", 2, "limits.owners.ci.open_jobs"),
        ("[limits.owners.ci]\nspeed = 1", 2, "limits.owners.ci.speed"),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(
    tmp_path: Path, text: str, line: int, field: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"line {line}: field {re.escape(field)}:"):
        load(tmp_path, text)


def test_the_name_of_an_owner_is_checked(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="the owner's name is 'a b'"):
        load(tmp_path, '[limits.owners."a b"]\nopen_jobs = 1')
