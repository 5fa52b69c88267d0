"""Checks that values from JSON are of the types that dataclasses say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

MOST = 2**63  # what integers stay below, so that they can become floats and be stored


def check_types(record: Any) -> None:  # noqa: ANN401 -- any dataclass
    """Raises TypeError naming the first field of a dataclass whose value is not of its type:
    JSON may hold anything. Floats may be whole numbers, and are finite."""
    for name, hint in _hints(type(record)).items():
        value = getattr(record, name)
        if not _fits(value, hint):
            raise TypeError(f"{name} is {_shown(value)}")


_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)  # of a dataclass


def _fits(value: Any, hint: Any) -> bool:  # noqa: ANN401
    if hint is Any or value is None:
        return hint is Any or type(None) in get_args(hint)
    if type(value) is hint and hint is not float and hint is not int:
        return True
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return any(_fits(value, argument) for argument in arguments)
        case origin if origin in (list, tuple):
            return isinstance(value, origin) and all(_fits(each, arguments[0]) for each in value)
        case origin if origin is dict:
            return isinstance(value, dict) and all(
                _fits(key, arguments[0]) and _fits(each, arguments[1])
                for key, each in value.items()
            )
    if hint in (int, float):
        kinds = (int, float) if hint is float else int
        # Infinity is not below, and of NaN no comparison holds.
        return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < MOST
    return isinstance(value, hint)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
