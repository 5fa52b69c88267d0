"""Turn documents that people or the lab have written, TOML or JSON, into dataclasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin

from cattrs import (
    BaseValidationError,
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from latlab.domain.errors import InvalidRequest

T = TypeVar("T")
Key = str | int


class InvalidField(InvalidRequest):
    """A field of a document is wrong; `path` holds the keys and indices that lead to it."""

    def __init__(self, message: str, path: tuple[Key, ...]) -> None:
        super().__init__(message)
        self.path = path


def make_converter() -> Converter:
    """Return a converter that coerces no value and refuses unknown keys.

    Add structure hooks to it for types with rules of their own. A hook raises ValueError or
    InvalidRequest with a message that follows the field's name.
    """
    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(str, _string)
    converter.register_structure_hook_factory(_is_tuple, lambda kind: _list_of(converter, kind))
    converter.register_structure_hook_factory(_is_table, lambda kind: _table(converter, kind))
    return converter


def structure(converter: Converter, document: object, kind: type[T]) -> T:
    """Return what a file of the lab holds as an object of `kind`.

    Raises InvalidField for the first field that is wrong.
    """
    try:
        return converter.structure(document, kind)
    except (BaseValidationError, ForbiddenExtraKeysError, ValueError, InvalidRequest) as error:
        raise _invalid_field(error, ()) from error


def _invalid_field(error: Exception, path: tuple[Key, ...]) -> InvalidField:
    """Follow the first mistake in cattrs' groups of errors down to its field."""
    if isinstance(error, ClassValidationError):
        named, others = error.group_exceptions()
        if others:
            return _invalid_field(others[0], path)
        return _invalid_field(named[0][0], (*path, named[0][1].name))
    if isinstance(error, IterableValidationError):
        placed, _ = error.group_exceptions()
        return _invalid_field(placed[0][0], (*path, placed[0][1].index))
    if isinstance(error, ForbiddenExtraKeysError):
        unknown = min(error.extra_fields)
        known = ", ".join(sorted(error.cl.__dataclass_fields__))  # type: ignore[attr-defined]
        return InvalidField(f"the field is unknown here; known are: {known}", (*path, unknown))
    if isinstance(error, KeyError):
        return InvalidField("the field is missing", path)
    return InvalidField(str(error), path)


def _string(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a string is needed, not {value!r}")
    return value


def _is_tuple(kind: Any) -> bool:  # noqa: ANN401 -- types of typing are no types
    return get_origin(kind) is tuple


def _list_of(converter: Converter, kind: Any) -> Callable[[object, Any], Any]:  # noqa: ANN401
    element, _ = get_args(kind)

    def structure_list(value: object, _: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"a list is needed, not {value!r}")
        return tuple(converter.structure(value, list[element]))  # type: ignore[valid-type]

    return structure_list


def _is_table(kind: Any) -> bool:  # noqa: ANN401 -- as above
    return is_dataclass(kind) or get_origin(kind) is dict


def _table(converter: Converter, kind: Any) -> Callable[[object, Any], Any]:  # noqa: ANN401
    make = (
        converter.gen_structure_attrs_fromdict
        if is_dataclass(kind)
        else converter.gen_structure_mapping
    )
    structure_fields = make(kind)

    def structure_table(value: object, kind: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            raise ValueError(f"a table is needed, not {value!r}")
        return structure_fields(value, kind)

    return structure_table
