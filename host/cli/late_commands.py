"""Commands whose modules are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from host.cli.console import Command, Commands, explain_exit_codes


@dataclass(frozen=True)
class LateCommand:
    """A command that is not imported yet.

    Attributes:
        place: "module:name" of a function, or of a Typer with commands of its own.
        summary: Line of the command in the list of all commands.
        panel: Panel of that list where the command stands.
    """

    place: str
    summary: str
    panel: str

    def load(self, name: str) -> Any:  # noqa: ANN401 -- Typer's command, whose type is private
        """Import the command, and return it under the name that users type."""
        module, _, attribute = self.place.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(name, cls=Command)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = name
        explain_exit_codes(command)
        return command


class LateCommands(Commands):
    """A group of late commands, which subclasses list in `late`."""

    late: Mapping[str, LateCommand] = {}

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- as TyperGroup has them
        super().__init__(**attributes)
        self.commands = _LoadedOnUse(self.late)  # type: ignore[assignment]  # nothing is added

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 -- private type
        """Return the names of all commands, in the order in which the help lists them."""
        return list(self.late)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- private types
        """Write the list of all commands, without importing any, a section for each panel."""
        for panel in dict.fromkeys(command.panel for command in self.late.values()):
            with formatter.section(panel):
                formatter.write_dl(
                    [
                        (name, each.summary)
                        for name, each in self.late.items()
                        if each.panel == panel
                    ]
                )


class _LoadedOnUse(Mapping[str, Any]):
    """Commands by name, each of which is imported when it is first looked up."""

    def __init__(self, late: Mapping[str, LateCommand]) -> None:
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
