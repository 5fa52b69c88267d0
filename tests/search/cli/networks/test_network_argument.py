"""What a NETWORK may be, and what users read who name none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latlab.common.program_store import MAX_PROGRAM_BYTES
from latlab.domain.errors import LabError
from latlab.domain.kernel import Kernel
from latlab.domain.program import ProgramFile, TensorSpec
from latlab.export.user_network import UserNetwork
from latlab.programs import reader
from latlab.programs.reader import Listing
from search.cli import app
from search.cli.networks.network_argument import find_network, parse_input
from search.space.zoo import ZOO

TOKENS = TensorSpec((1, 8), "int64")
LISTING = Listing((TensorSpec((1, 3)), TOKENS), (Kernel("add", ((1, 3),), (1, 3)),), (), 100)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every .pte file is the program of LISTING."""
    monkeypatch.setattr(reader, "read_program", lambda data: LISTING)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", TensorSpec((1, 3, 224, 224))),
        ("8", TensorSpec((8,))),
        ("1x128:int64", TensorSpec((1, 128), "int64")),
        ("1x128:int64:0..30521", TensorSpec((1, 128), "int64", 0, 30521)),
        ("2:int8:-3..-1", TensorSpec((2,), "int8", -3, -1)),
        (":float32", TensorSpec(())),
    ],
)
def test_an_input_is_a_shape_a_dtype_and_a_range(text: str, spec: TensorSpec) -> None:
    assert parse_input(text) == spec
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1x3x224x224"),
        ("1,3,224,224", "1x3x224x224"),
        ("1x3x", "1x3x224x224"),
        ("9" * 5000, "1x3x224x224"),
        ("1x٣", "1x3x224x224"),
        ("1x0", "1x0 has 0 values"),
        ("999999999x999999999", "give 1 to"),
        ("1x8:float64", "must be one of float32"),
        ("1x8:float32:0..1", "only integers"),
        ("1x8:int8:0..300", "reaches beyond int8"),
        ("1x8:int64:5..1", "is empty"),
    ],
)
def test_what_is_no_input_is_named(text: str, message: str) -> None:
    with pytest.raises(LabError, match=r"^--input ") as raised:
        parse_input(text)
    assert message in str(raised.value)


def test_each_kind_of_network_is_found(folder: Path, listed: None) -> None:
    for name in ("net.py", "a b/ü:x.py", "net.pt2", "net.pte"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    inputs = (TensorSpec((1, 3)),)
    for text in (
        "net.py:Net",
        "a b/ü:x.py:make",
        f"{folder}/net.py:Net",
        "net.pt2",
        "pack.age:Net",
    ):
        assert find_network(text, inputs) == UserNetwork(text, inputs)
    assert find_network("mnasnet-a1") == ZOO["mnasnet-a1"]
    found = find_network("net.pte")
    assert isinstance(found, ProgramFile)
    assert found.path == Path("net.pte")
    program = found.program
    assert (program.inputs, program.kernels) == (LISTING.inputs, LISTING.kernels)
    assert (program.size_bytes, program.exporter) == (1, "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "package.module:NAME"),
        ("net.py", "net.py:Net"),
        ("missing.py:Net", "missing.py: No such file"),
        ("folder.py:Net", "folder.py is not a file"),
        ("net.py:a-b", "there is no network"),
        ("net.py:", "there is no network"),
        (":Net", "there is no network"),
        ("missing.pt2", "missing.pt2: No such file"),
        ("missing.pte", "missing.pte: No such file"),
        ("folder.pte", "folder.pte: "),
        ("empty.pte", "cannot use empty.pte: this is not an ExecuTorch program"),
        ("large.pte", f"a program may have {MAX_PROGRAM_BYTES:,}: export a smaller network"),
        ("weights.pth", "FILE.py:NAME"),
    ],
)
def test_what_is_no_network_is_named_with_a_remedy(folder: Path, text: str, message: str) -> None:
    (folder / "net.py").touch()
    (folder / "empty.pte").touch()
    for name in ("folder.py", "folder.pte"):
        (folder / name).mkdir()
    with (folder / "large.pte").open("wb") as file:
        os.truncate(file.fileno(), MAX_PROGRAM_BYTES + 1)
    with pytest.raises(LabError) as raised:
        find_network(text)
    assert message in str(raised.value)


def test_inputs_of_a_program_only_give_ranges(folder: Path, listed: None) -> None:
    (folder / "net.pte").write_bytes(b"x")
    ranged = (TensorSpec((1, 3)), TensorSpec((1, 8), "int64", 0, 9))
    found = find_network("net.pte", ranged)
    assert isinstance(found, ProgramFile)
    assert found.program.inputs == ranged
    with pytest.raises(LabError, match=r"net\.pte takes 1x3:float32, 1x8:int64, not 1x3:float32: "):
        find_network("net.pte", ranged[:1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mnasnet-a1 --input 1x3x224x224", "--input has no effect on mnasnet-a1: its input is"),
        (
            "net.pte --precision int8",
            "--precision has no effect on net.pte: a .pte file is",
        ),
        ("net.pte --resolution 128", "--resolution has no effect on net.pte"),
        ("net.py:Net --classes 10", "--classes has no effect on net.py:Net: its own code"),
        ("net.py:Net --input 1", "latlab lab up"),
        ("mnasnet-a1 net.py:Net net.pte --input 1x3 --input 1x8:int64", "latlab lab up"),
        ("mnasnet-a1 net.pte --precision int8 --resolution 64", "latlab lab up"),
    ],
)
@pytest.mark.parametrize("command", ["measure", "predict"])
def test_an_option_has_an_effect_or_is_refused(
    folder: Path, listed: None, command: str, arguments: str, message: str
) -> None:
    (folder / "net.pte").write_bytes(b"x")
    (folder / "net.py").touch()
    result = CliRunner().invoke(app, [command, *arguments.split()])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
