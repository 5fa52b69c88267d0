"""`lab.toml` in the lab's home: what its owner says of the devices. All of it is optional.

boards = ["pi.local:7070"]    # none but these; without it every board that was enrolled

[phones]                      # serials, by shell patterns
take = ["R5C*"]               # none but these; without it every phone that is plugged in
leave = ["emulator-*"]        # and of them not these

[groups.pixels]               # devices that are treated alike; the first group that fits counts
devices = ["Google Pixel*"]   # shell patterns of serials, models and boards' addresses
core_classes = ["big"]        # measured on these cores; without it on all
max_c = 38                    # °C: hotter than this it cools first, besides the lab's own rule
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from host.home.boards import checked_address
from latlab.common.files import read_regular
from latlab.domain.errors import InvalidRequest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERY = ("*",)
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Group:
    """devices: patterns; core_classes: names, None for all that a device has; max_c: of the
    hottest zone, for a visit to begin."""

    name: str = ""
    devices: tuple[str, ...] = ()
    core_classes: tuple[str, ...] | None = None
    max_c: float = math.inf


NO_GROUP = Group()


@dataclass(frozen=True, slots=True)
class LabConfig:
    """boards: addresses, None where the file names none."""

    boards: tuple[str, ...] | None = None
    take: tuple[str, ...] = EVERY
    leave: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()

    def chosen_boards(self, enrolled: Sequence[str]) -> Sequence[str]:
        return enrolled if self.boards is None else self.boards

    def takes(self, serial: str) -> bool:
        """Whether the lab uses the phone of this serial."""
        return _matches(serial, self.take) and not _matches(serial, self.leave)

    def group_of(self, *names: str) -> Group:
        """Of the device that goes by all these names."""
        fitting = (
            group for group in self.groups if any(_matches(name, group.devices) for name in names)
        )
        return next(fitting, NO_GROUP)


NO_CONFIG = LabConfig()


def load_config(path: Path) -> LabConfig:
    """Everything's default where there is no file. Raises InvalidRequest with the line."""
    try:
        text = read_regular(path, MAX_BYTES).decode()
        document = tomllib.loads(text)
        return _parse(document)
    except FileNotFoundError:
        return NO_CONFIG
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:  # says where
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
    _check_keys(document, {"boards", "phones", "groups"})
    boards = _strings(document, "boards")
    for address in boards or ():
        try:
            checked_address(address)
        except InvalidRequest as error:
            raise _Mistake(str(error), "boards", address) from error
    phones = _table(document, "phones")
    _check_keys(phones, {"take", "leave"}, "phones")
    take, leave = (_strings(phones, key, "phones") for key in ("take", "leave"))
    named = _table(document, "groups")
    groups = tuple(_parse_group(_table(named, name, "groups"), name) for name in named)
    return LabConfig(boards, EVERY if take is None else take, leave or (), groups)


def _parse_group(table: Mapping[str, Any], name: str) -> Group:
    path = ("groups", name)
    _check_keys(table, {"devices", "core_classes", "max_c"}, *path)
    devices, core_classes = (_strings(table, key, *path) for key in ("devices", "core_classes"))
    if not devices:
        raise _Mistake(f"group {name} says which devices are in it: devices = [...]", *path)
    if core_classes == ():
        raise _Mistake("core_classes names at least one", *path, "core_classes")
    max_c = table.get("max_c", math.inf)
    if isinstance(max_c, bool) or not isinstance(max_c, int | float) or not max_c > 0:
        raise _Mistake("max_c is a temperature in °C, above 0", *path, "max_c")
    return Group(name, devices, core_classes, float(max_c))


def _table(parent: Mapping[str, Any], key: str, *path: str) -> Mapping[str, Any]:
    """Empty where the key is absent."""
    table = parent.get(key, {})
    if not isinstance(table, dict):
        header = ".".join((*path, key))
        raise _Mistake(f"{key} is a table: [{header}]", *path, key)
    return table


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
