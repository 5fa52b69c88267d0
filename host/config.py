"""`lab.toml` in the lab's home: what its owner says of the devices. All of it is optional.

boards = ["pi.local:7070"]    # none but these; without it every board that was enrolled

[phones]                      # serials, by shell patterns
take = ["R5C*"]               # none but these; without it every phone that is plugged in
leave = ["emulator-*"]        # and of them not these
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from host.boards import checked_address
from host.errors import InvalidRequest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERY = ("*",)


@dataclass(frozen=True, slots=True)
class LabConfig:
    """boards: addresses, None where the file names none."""

    boards: tuple[str, ...] | None = None
    take: tuple[str, ...] = EVERY
    leave: tuple[str, ...] = ()

    def chosen_boards(self, enrolled: Sequence[str]) -> Sequence[str]:
        return enrolled if self.boards is None else self.boards

    def takes(self, serial: str) -> bool:
        """Whether the lab uses the phone of this serial."""
        return _matches(serial, self.take) and not _matches(serial, self.leave)


def load_config(path: Path) -> LabConfig:
    """Everything's default where there is no file. Raises InvalidRequest with the line."""
    try:
        text = path.read_text()
        document = tomllib.loads(text)
        return _parse(document)
    except FileNotFoundError:
        return LabConfig()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:  # says where
        raise InvalidRequest(f"{path}: {error}") from error
    except _Mistake as mistake:
        line = _line(text, mistake.path)
        raise InvalidRequest(f"{path}, line {line}: {mistake}") from mistake


class _Mistake(Exception):
    """path: the keys that lead to it, and the value where it is one of several."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


def _parse(document: Mapping[str, Any]) -> LabConfig:
    _check_keys(document, {"boards", "phones"})
    boards = _strings(document, "boards")
    for address in boards or ():
        try:
            checked_address(address)
        except InvalidRequest as error:
            raise _Mistake(str(error), "boards", address) from error
    phones = document.get("phones", {})
    if not isinstance(phones, dict):
        raise _Mistake("phones is a table: [phones]", "phones")
    _check_keys(phones, {"take", "leave"}, "phones")
    take, leave = (_strings(phones, key, "phones") for key in ("take", "leave"))
    return LabConfig(boards, EVERY if take is None else take, leave or ())


def _check_keys(table: Mapping[str, Any], known: Collection[str], *path: str) -> None:
    for key in table:
        if key not in known:
            names = ", ".join(sorted(known))
            raise _Mistake(f"unknown key {key!r}; there are: {names}", *path, key)


def _strings(table: Mapping[str, Any], key: str, *path: str) -> tuple[str, ...] | None:
    """None where the key is absent."""
    values = table.get(key)
    if values is None:
        return None
    if not isinstance(values, list):
        raise _Mistake(f"{key} is a list of strings", *path, key)
    for value in values:
        if not isinstance(value, str):
            raise _Mistake(f"{key} is a list of strings: {value!r} is none", *path, key, str(value))
    return tuple(values)


def _matches(serial: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(serial, pattern) for pattern in patterns)


def _line(text: str, path: Sequence[str]) -> int:
    """Where the words of `path` follow one another. What cannot be found as it is spelled (a
    value with an escape, say) counts as standing where the word before it does."""
    text = re.sub(r"#.*", "", text)
    at = 0
    for word in path:
        if found := re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(text, at):
            at = found.start()
    return text.count("\n", 0, at) + 1
