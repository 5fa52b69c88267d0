"""Names, numbers and files from outside: refused in one line that names what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.architecture import checked_architecture
from search.architecture_file import read_architecture
from search.cli import app
from search.space import SPACES
from search.study import StudyError, study_folder
from search.zoo import ZOO
from tests.old_lab.narrow_space import narrow_space

CHANGES = [
    ({"op": "attention"}, "blocks[1].op: 'attention' is none of conv, dconv, mbconv"),
    ({"layers": 0}, "blocks[1].layers: a whole number from 1 to 64, not 0"),
    ({"stride": 7}, "blocks[1].stride: a whole number from 1 to 2, not 7"),
    ({"stride": 0}, "blocks[1].stride"),
    ({"kernel_size": 4}, "blocks[1].kernel_size: an odd number, not 4"),
    ({"out_channels": 32.5}, "blocks[1].out_channels"),
    ({"out_channels": "32"}, "blocks[1].out_channels"),
    ({"out_channels": True}, "blocks[1].out_channels"),
    ({"out_channels": 10**9}, "blocks[1].out_channels"),
    ({"out_channels": float("inf")}, "Infinity is no number"),
    ({"se_ratio": float("nan")}, "NaN is no number"),
    ({"se_ratio": 2}, "blocks[1].se_ratio"),
    ({"skip": "dense"}, "blocks[1].skip"),
    ({"op": "conv", "expansion": 6}, "blocks[1].expansion: 1 where op is 'conv', not 6"),
    ({"color": "red"}, "blocks[1]: 'color' is none of op,"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_network_that_is_none_is_refused_by_file_and_field(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    network = json.loads(json.dumps(ZOO["mnasnet-a1"].to_dict()))
    network["blocks"][1].update(change)
    file = tmp_path / "network.json"
    file.write_text(json.dumps(network))
    with pytest.raises(ValueError, match="does not hold an architecture") as refused:
        read_architecture(file)
    assert message in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "1", '"a"', "{}", "[" * 5_000, '{"blocks": []}', "\x00", "NaN"],
)
def test_a_file_that_holds_something_else_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"network\.json"):
        read_architecture(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.json", Path("/dev/zero")):
        with pytest.raises(ValueError, match="cannot read"):
            read_architecture(path)
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (2 << 20))
    with pytest.raises(ValueError, match="larger than"):
        read_architecture(large)


def test_the_networks_of_the_zoo_and_the_spaces_are_read_as_they_are() -> None:
    spaces = [*SPACES.values(), narrow_space()]
    networks = [*ZOO.values(), *(space.resolve(space.smallest) for space in spaces)]
    for network in networks:
        document = json.loads(json.dumps(network.to_dict()))
        assert checked_architecture(document) == network
        assert checked_architecture(document).id == network.id


def test_two_spellings_of_one_network_are_one() -> None:
    """The first block has one layer, and it widens: no layer of it can have a skip."""
    spelled = json.loads(json.dumps(ZOO["mnasnet-a1"].to_dict()))
    spelled["blocks"][0]["skip"] = "identity"
    assert checked_architecture(spelled) == ZOO["mnasnet-a1"]


NO_NAMES = ["../esc", "", ".", "..", "/abs", "a/b", "x" * 300, "a\nb", "a\x00b", "-x", ".x", " x"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_study_lies_outside_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is no name of a study"):
        study_folder(tmp_path / "runs", name)
    for command in (["search", "--study"], ["report", "--"], ["train", "--study"]):
        runs = ["--runs", str(tmp_path / "runs")]
        words = [command[0], *runs, *command[1:], name]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2, words
    assert list(tmp_path.iterdir()) == []


def test_names_that_studies_have_stay() -> None:
    for name in ("first", "a b", "Größe 2", "2026-11-28_v1.2"):
        assert study_folder(Path("runs"), name) == Path("runs") / name


@pytest.mark.parametrize("number", ["inf", "nan", "-inf"])
@pytest.mark.parametrize(
    "option",
    [
        "--target-latency",
        "--weight",
        "--max-params-m",
        "--max-madds-m",
        "--max-size-mb",
        "--max-device-minutes",
        "--measured-share",
        "--width",
        "--training-limit-s",
        "--accuracy-limit-s",
    ],
)
def test_numbers_are_finite(option: str, number: str) -> None:
    result = CliRunner().invoke(app, ["search", f"{option}={number}"])
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert option in result.output


@pytest.mark.parametrize("home", ["/etc/passwd", "/dev/null/x", "/proc/x", "a\nb"])
@pytest.mark.parametrize(
    "command", ["lab status", "lab down", "devices list", "predict mnasnet-a1"]
)
def test_a_home_that_is_none_is_an_error_in_words(home: str, command: str) -> None:
    result = CliRunner().invoke(app, command.split(), env={"LATLAB_HOME": home})
    assert result.exit_code in (0, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many", ""])
def test_a_width_that_is_none_hides_nothing(columns: str) -> None:
    """A process of its own: the width is looked up when a command begins."""
    command = [sys.executable, "-c", "from search.cli import app; app()", "zoo"]
    done = subprocess.run(
        command, env={**os.environ, "COLUMNS": columns}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "3,887,038" in done.stdout
