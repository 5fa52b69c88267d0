"""Tests that the documentation agrees with the repository."""

from __future__ import annotations

import ast
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import typer
from typer.core import TyperGroup

import latlab
import latlab.export
from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.domain import errors
from search.cli import app
from tests.host.stored_lab import stored_lab, write_ordinary
from tests.structure import ARROWS, PACKAGES, REPOSITORY

README = REPOSITORY / "README.md"
CHANGELOG = REPOSITORY / "CHANGELOG.md"  # names what is gone, too
DOCS = REPOSITORY / "docs"
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MAX_README_LINES = 100
FOLDERS = {*PACKAGES, "docs", "protos", "tests"}
CONNECTED_WITHIN_S = 30.0

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix()
)


def blocks(page: Path, language: str = "") -> list[str]:
    """Return the contents of the page's fenced blocks in a language; "" is none."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """Return the page's text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def inline_code(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def typed(page: Path, program: str) -> Iterator[list[str]]:
    """Yield the words that follow `program`, wherever the page shows it as code."""
    shown = [line for block in blocks(page) for line in block.splitlines()]
    for code in (*shown, *inline_code(page)):
        code = code.removeprefix("$ ")
        if code.startswith(f"{program} "):
            yield shlex.split(code, comments=True)[1:]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- private type
    """Yield each command, with its whole name. A group is one if it does something by itself."""
    if isinstance(command, TyperGroup):
        for part in command.list_commands(typer.Context(command)):
            yield from commands(command.commands[part], f"{name} {part}")
    if not isinstance(command, TyperGroup) or command.invoke_without_command:
        yield name, command


def options(command: Any) -> set[str]:  # noqa: ANN401 -- private type
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


COMMANDS = dict(commands(typer.main.get_command(app), "latlab"))
AGENT_SOURCE = (REPOSITORY / "device_agent/__main__.py").read_text()


@each_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in typed(page, "latlab"):
        shown = " ".join(["latlab", *words])
        named = [name for name in COMMANDS if f"{shown} ".startswith(f"{name} ")]
        assert named or words[0].startswith("-"), shown
        known = {"--help"}.union(*(options(COMMANDS[name]) for name in named))
        asked = {word.strip("[]") for word in words if word.strip("[").startswith("-")}
        assert asked <= known, shown


@each_page
def test_options_that_stand_alone_exist(page: Path) -> None:
    known = {"--help"}.union(*map(options, COMMANDS.values()))
    alone = {code.split()[0] for code in inline_code(page) if code.startswith("--")}
    assert {name for name in alone - known if f'"{name}"' not in AGENT_SOURCE} == set()


@each_page
def test_the_agent_s_options_exist(page: Path) -> None:
    for words in (*typed(page, "latlab-agent"), *typed(page, "./latlab-agent")):
        for option in (word for word in words if word.startswith("-")):
            assert f'"{option}"' in AGENT_SOURCE, option


def test_the_page_of_commands_lists_every_command() -> None:
    page = DOCS / "commands.md"
    shown = {" ".join(("latlab", *words)) for words in typed(page, "latlab")}
    for name in COMMANDS:
        assert any(f"{each} ".startswith(f"{name} ") for each in shown), name


@each_page
def test_make_s_targets_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target, *_ in typed(page, "make"):
        known = rf"^({re.escape(target)}|{re.escape(target.partition('-')[0])}-%):"
        assert re.search(known, makefile, re.MULTILINE), f"make {target}"


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=lambda page: page.name)
def test_links_and_their_anchors_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not link.startswith("https://"):
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.is_file(), link
            assert REPOSITORY in target.parents, link
            assert not anchor or anchor in anchors(target), link


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    for code in inline_code(page):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", code) and "NAME" not in code
        if is_path and "/" in code and code.partition("/")[0] in FOLDERS:
            assert (REPOSITORY / code).exists(), code


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", prose(page))
        found = {(page.parent / link).resolve() for link in links if not link.startswith("https:")}
        waiting += found - reached - set(waiting)
    assert set(PAGES) <= reached


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_table_of_rooms_equals_the_arrows() -> None:
    page = (DOCS / "architecture.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]+ \|([^|]*)\|$", page, re.MULTILINE)
    assert {room: frozenset(re.findall(r"`([\w.]+)`", cell)) for room, cell in rows} == ARROWS


@each_page
def test_python_compiles_and_names_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = {"latlab": latlab, "lab": latlab.LatencyClient}.get(node.value.id)
                assert owner is None or hasattr(owner, node.attr), ast.unparse(node)


def test_the_errors_of_the_client_exist() -> None:
    [table] = re.findall(
        r"^## Errors\n(.*?)^## ", prose(DOCS / "python.md"), re.DOTALL | re.MULTILINE
    )
    named = re.findall(r"`(\w+)`", table)
    assert named
    assert [name for name in named if not hasattr(errors, name)] == []


def test_the_changelog_begins_with_the_version_of_both_distributions() -> None:
    newest, *_ = re.findall(r"^## ([\d.]+)$", CHANGELOG.read_text(), re.MULTILINE)
    for project in (REPOSITORY / "pyproject.toml", REPOSITORY / "latlab/pyproject.toml"):
        assert re.findall(r'^version = "(.+)"$', project.read_text(), re.MULTILINE) == [newest]


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = blocks(README, "python")
    database = Database(sqlite_url(tmp_path / "lab.db"))
    network = write_ordinary(database, tmp_path, count=6)[0].network
    with stored_lab(database, tmp_path) as (client, _):
        monkeypatch.setattr(latlab, "connect", lambda: client, raising=False)
        program = SimpleNamespace(kernels=network.kernels)
        exported = SimpleNamespace(program=program, data=b"", sources=())
        monkeypatch.setattr(
            latlab.export.exporter, "export_with_sources", lambda *_, **__: exported
        )
        deadline_s = time.monotonic() + CONNECTED_WITHIN_S
        while not any(status.devices for status in client.targets()):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        exec(code, {"module": torch.nn.Identity(), "example_inputs": None})
    database.close()
    assert re.fullmatch(r"[\d.]+ ms \((lookup|regression)\)\n", capsys.readouterr().out)
