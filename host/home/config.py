"""`lab.toml` in the lab's home: what the owner says about the devices. All of it is optional.

boards = ["pi.local:7070"]    # only these boards; by default every board that was enrolled

[phones]                      # serials, as shell patterns
take = ["R5C*"]               # only these phones; by default every phone that is plugged in
leave = ["emulator-*"]        # not these phones, even if `take` names them

[jobs]
max_age_h = 24                # an older job ends if nothing was measured on its target for so long

[limits]                      # of each owner of tokens; see `host.home.limits`
open_jobs = 1000
[operation]
metrics_port = 9464           # of metrics on loopback; 0: none; by default a free port

[groups.pixels]               # devices that are treated alike; the first group that fits counts
devices = ["Google Pixel*"]   # shell patterns of serials, models and boards' addresses
core_classes = ["big"]        # measure on these cores; by default on all
max_c = 38                    # °C: above it a device cools first, besides the lab's own rule
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NewType

from host.home.boards import checked_address
from host.home.documents import InvalidField, Key, make_converter, structure
from host.home.limits import LimitsDocument, add_limit_hooks, owner_limits
from latlab.common.files import read_regular
from latlab.domain.access.limits import UNLIMITED, OwnerLimits
from latlab.domain.errors import InvalidRequest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERY = ("*",)
MAX_BYTES = 1 << 20
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Group:
    """A group of devices that are treated alike.

    Attributes:
        name: The group's name.
        devices: Shell patterns of serials, models and boards' addresses.
        core_classes: Names of the core classes to measure on; None for all of a device.
        max_c: A visit begins only if the hottest zone is at most this hot, in °C.
    """

    name: str = ""
    devices: tuple[str, ...] = ()
    core_classes: tuple[str, ...] | None = None
    max_c: float = math.inf


NO_GROUP = Group()
DAY_H = 24.0


@dataclass(frozen=True, slots=True)
class LabConfig:
    """The choices that the owner of the lab has made in lab.toml.

    Attributes:
        boards: Addresses of the boards to use; None for every enrolled board.
        take: Shell patterns of the serials of the phones to use.
        leave: Shell patterns of the serials of phones that are not used all the same.
        groups: The groups, in the order in which they are tried.
        max_age_h: An open job that is older, in hours, ends as a failure if nothing was measured
            on its target for so long.
        limits: How much of the lab each owner of tokens may use.
        metrics_port: The port of metrics and health on loopback; 0 for none, None for a free one.
    """

    boards: tuple[str, ...] | None = None
    take: tuple[str, ...] = EVERY
    leave: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    max_age_h: float = DAY_H
    limits: OwnerLimits = UNLIMITED
    metrics_port: int | None = None

    def chosen_boards(self, enrolled: Sequence[str]) -> Sequence[str]:
        """Return the addresses of the boards that the lab uses."""
        return enrolled if self.boards is None else self.boards

    def takes(self, serial: str) -> bool:
        """Return whether the lab uses the phone of this serial."""
        return _matches(serial, self.take) and not _matches(serial, self.leave)

    def group_of(self, *names: str) -> Group:
        """Return the first group of lab.toml with a pattern that matches one of a device's names.

        Without one, it is the group without rules.
        """
        fitting = (
            group for group in self.groups if any(_matches(name, group.devices) for name in names)
        )
        return next(fitting, NO_GROUP)


NO_CONFIG = LabConfig()


def load_config(path: Path) -> LabConfig:
    """Read the owner's choices from lab.toml; without the file, return the defaults.

    Raises InvalidRequest for a mistake, with its line and field.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode()
        document = tomllib.loads(text)
    except FileNotFoundError:
        return NO_CONFIG
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:  # says where
        raise InvalidRequest(f"{path} is not valid TOML: {error}") from error
    try:
        return _config(structure(_CONVERTER, document, _Document))
    except InvalidField as error:
        line = _line(text, _words(document, error.path))
        field_name = ".".join(map(str, error.path))
        raise InvalidRequest(f"{path}, line {line}: field {field_name}: {error}") from error


_Address = NewType("_Address", str)
_Celsius = NewType("_Celsius", float)
_Hours = NewType("_Hours", float)
_Port = NewType("_Port", int)
_Names = NewType("_Names", tuple)  # type: ignore[type-arg]  # of strings, at least one


@dataclass(frozen=True)
class _Phones:
    take: tuple[str, ...] = EVERY
    leave: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Jobs:
    max_age_h: _Hours = _Hours(DAY_H)


@dataclass(frozen=True)
class _Operation:
    metrics_port: _Port | None = None


@dataclass(frozen=True)
class _Group:
    devices: _Names
    core_classes: _Names | None = None
    max_c: _Celsius = _Celsius(math.inf)


@dataclass(frozen=True)
class _Document:
    """The file as it is written."""

    boards: tuple[_Address, ...] | None = None
    phones: _Phones = field(default_factory=_Phones)
    jobs: _Jobs = field(default_factory=_Jobs)
    limits: LimitsDocument = field(default_factory=LimitsDocument)
    operation: _Operation = field(default_factory=_Operation)
    groups: dict[str, _Group] = field(default_factory=dict)


def _config(document: _Document) -> LabConfig:
    return LabConfig(
        boards=document.boards,
        take=document.phones.take,
        leave=document.phones.leave,
        groups=tuple(
            Group(name, group.devices, group.core_classes, group.max_c)
            for name, group in document.groups.items()
        ),
        max_age_h=document.jobs.max_age_h,
        limits=owner_limits(document.limits),
        metrics_port=document.operation.metrics_port,
    )


def _structure_address(value: object, _: object) -> str:
    return checked_address(_CONVERTER.structure(value, str))


def _structure_celsius(value: object, _: object) -> float:
    return _above_zero(value, "a temperature above 0 °C")


def _structure_hours(value: object, _: object) -> float:
    return _above_zero(value, "a number of hours above 0")


def _structure_port(value: object, _: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_PORT:
        raise ValueError(f"must be a port from 1 to {MAX_PORT}, or 0 for none, not {value!r}")
    return value


def _above_zero(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"must be {what}, not {value!r}")
    return float(value)


def _structure_names(value: object, _: object) -> tuple[str, ...]:
    names = _CONVERTER.structure(value, tuple[str, ...])
    if not names:
        raise ValueError("at least one name is needed")
    return names


_CONVERTER = make_converter()
_CONVERTER.register_structure_hook(_Address, _structure_address)
_CONVERTER.register_structure_hook(_Celsius, _structure_celsius)
_CONVERTER.register_structure_hook(_Hours, _structure_hours)
_CONVERTER.register_structure_hook(_Port, _structure_port)
_CONVERTER.register_structure_hook(_Names, _structure_names)
add_limit_hooks(_CONVERTER)


def _matches(serial: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(serial, pattern) for pattern in patterns)


def _words(document: Mapping[str, Any], path: Sequence[Key]) -> list[str]:
    """Return the words that lead to a field in the file's text: keys, and a list's values."""
    found: Any = document
    words = []
    for key in path:
        if isinstance(key, int):
            found = found[key]
            words.append(str(found))
        else:
            found = found.get(key)
            words.append(key)
    return words


def _line(text: str, words: Sequence[str]) -> int:
    """Return the line where the words follow one another.

    A word that is spelled differently in the text, with an escape for example, counts as being
    where the word before it is.
    """
    text = re.sub(r"#.*", "", text)
    at = 0
    for word in words:
        if found := re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(text, at):
            at = found.start()
    return text.count("\n", 0, at) + 1
