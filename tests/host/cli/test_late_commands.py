"""The list of commands, which imports none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from search.cli import LatlabCommands, app

ARE_IMPORTED = """
import sys
from typer.testing import CliRunner
from search.cli import app
said = CliRunner().invoke(app, sys.argv[1:]).output
print(*(name for name in sys.modules if name.startswith(("search.cli.", "numpy", "grpc"))))
"""


def test_the_list_is_whole_and_imports_none() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    for name, late in LatlabCommands.late.items():
        assert f"  {name}" in listed
        assert late.summary.split()[0] in listed
    command = [sys.executable, "-c", ARE_IMPORTED, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", LatlabCommands.late)
def test_every_command_has_its_help_and_its_exit_codes(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    command = LatlabCommands.late[name].load(name)
    leaves = list(command.commands.values()) if hasattr(command, "commands") else [command]
    assert all("Exit codes" in leaf.epilog for leaf in leaves)


def test_a_command_that_is_none_is_named() -> None:
    result = CliRunner().invoke(app, ["serch"])
    assert result.exit_code == 2
    assert "No such command 'serch'" in result.stderr
    assert "search" in result.stderr
