"""What README and docs tell users to type: it exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from search.cli import app

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def typed(page: Path, program: str) -> Iterator[list[str]]:
    """The words behind `program`, in code within lines and in blocks."""
    text = page.read_text()
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    for code in (*lines, *re.findall(r"`([^`\n]+)`", text)):
        if code.startswith(f"{program} "):
            yield shlex.split(code, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in typed(page, "latlab"):
        command = typer.main.get_command(app)
        while isinstance(command, TyperGroup):
            assert words, f"{page.name}: no command"
            assert words[0] in command.commands, f"{page.name}: latlab {' '.join(words)}"
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        asked = {word.strip("[]") for word in words if word.strip("[").startswith("-")}
        assert asked <= options, f"{page.name}: {command.name} has no {asked - options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_s_targets_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target, *_ in typed(page, "make"):
        known = rf"^({re.escape(target)}|{re.escape(target.partition('-')[0])}-%):"
        assert re.search(known, makefile, re.MULTILINE), f"{page.name}: make {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith("https:"):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
