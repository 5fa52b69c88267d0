"""Import the module of a command when the command is called, so that `--help` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from host.cli.console import Commands, explain_exit_codes


@dataclass(frozen=True)
class Late:
    """A command that is not imported yet.

    place: "module:name" of a function, or of a Typer with commands of its own. summary: its
    line in the list of all commands.
    """

    place: str
    summary: str

    def load(self, name: str) -> Any:  # noqa: ANN401 -- Typer's command, whose type is private
        module, _, attribute = self.place.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = name
        explain_exit_codes(command)
        return command


class LateCommands(Commands):
    """A group of late commands. Subclasses list them in `late`."""

    late: Mapping[str, Late] = {}

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- as TyperGroup has them
        super().__init__(**attributes)
        self.commands = _Loading(self.late)  # type: ignore[assignment]  # nothing is added

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 -- private type
        return list(self.late)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- private types
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.late.items()])


class _Loading(Mapping[str, Any]):
    """Commands by name. Each is loaded when it is first looked up."""

    def __init__(self, late: Mapping[str, Late]) -> None:
        self._late = dict(late)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        if name not in self._loaded:
            self._loaded[name] = self._late[name].load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._late)

    def __len__(self) -> int:
        return len(self._late)
