"""What a bundle holds of ours: the agent, and all that it imports when it starts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from latlab.common.agent_sources import agent_sources
from tests.structure import PACKAGES, REPOSITORY, tree

SOURCES = agent_sources(REPOSITORY)


def started_with(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports outside of functions."""
    for node in tree(path).body:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".py")])
def test_a_bundle_holds_what_its_modules_import(name: str) -> None:
    held = {path[:-3].replace("/", ".").removesuffix(".__init__") for path in SOURCES}
    assert set(started_with(SOURCES[name])) <= held
