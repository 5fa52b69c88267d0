"""What an interrupted benchmark has finished, so that it can go on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.bench import figures

REPOSITORY = Path(__file__).parents[2]


class Finished:
    """The figures of a group's finished benchmarks, kept until all have finished.

    They are valid for one state of the code.
    """

    def __init__(self, group: str) -> None:
        self._file = REPOSITORY / "build/bench" / f"{group}.json"
        self._state = {"code": code_state(), "quick": figures.IS_QUICK}
        self._lines: dict[str, list[figures.Line]] = {}
        if self._file.is_file():
            kept = json.loads(self._file.read_text())
            if kept["state"] == self._state:
                self._lines = kept["lines"]

    def get(self, name: str) -> list[figures.Line] | None:
        return self._lines.get(name)

    def add(self, name: str, lines: list[figures.Line]) -> None:
        self._lines[name] = lines
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"state": self._state, "lines": self._lines}))

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def code_state() -> str:
    """Return the state of the code: the commit and the changes since."""
    words = (["git", "rev-parse", "HEAD"], ["git", "diff", "HEAD"])
    return "\n".join(
        subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout
        for command in words
    )
