"""Read the fields of protobuf messages: those that are set, and members of enums."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

from google.protobuf.message import Message

E = TypeVar("E", bound=Enum)


def fields_of(message: Message) -> dict[str, Any]:
    """Return a flat message's fields by name; None for an optional field that is absent."""
    fields = message.DESCRIPTOR.fields
    return {
        field.name: getattr(message, field.name)
        if not field.has_presence or message.HasField(field.name)
        else None
        for field in fields
    }


def enum_number(wire: Any, member: Enum) -> Any:  # noqa: ANN401 -- generated types
    """Return the number that the protobuf enum `wire` gives to a member of our own enum.

    Args:
        wire: An enum of the generated code, such as `lab_pb2.DevicePhase`.
        member: A member of an enum in `latlab.domain`. In `wire` its name has a prefix.
    """
    return wire.Value(f"{_prefix(wire)}{member.name}")


def enum_member(wire: Any, number: int, kind: type[E]) -> E | None:  # noqa: ANN401 -- as above
    """Return the member of enum `kind` for a number of protobuf enum `wire`; None if unknown."""
    value = wire.DESCRIPTOR.values_by_number.get(number)
    name = "" if value is None else value.name.removeprefix(_prefix(wire))
    return kind.__members__.get(name)


def _prefix(wire: Any) -> str:  # noqa: ANN401 -- as above
    """Return "DEVICE_PHASE_" for DevicePhase: what its zero value says before UNSPECIFIED."""
    return str(wire.DESCRIPTOR.values_by_number[0].name).removesuffix("UNSPECIFIED")
