"""The sizes of the sources, and the words in which they speak: what `make bench-house` reports."""

from __future__ import annotations

from tests import structure
from tests.bench import words

MIGRATIONS = "host.database.migrations."  # a record of what was, not to be edited


def test_no_text_reads_like_a_riddle() -> None:
    assert words.riddles() == []


def test_files_and_functions_stay_small() -> None:
    assert {name: lines for name, lines in structure.file_lines().items() if lines > 300} == {}
    functions = [f for f in structure.functions() if not f.name.startswith(MIGRATIONS)]
    plain = [f for f in functions if not f.is_command]
    assert [(f.name, f.lines) for f in plain if f.lines > 60] == []
    assert [(f.name, f.parameters) for f in plain if f.parameters > 8] == []
    commands = [f for f in functions if f.is_command]
    assert [(f.name, f.body_lines) for f in commands if f.body_lines > 15] == []
