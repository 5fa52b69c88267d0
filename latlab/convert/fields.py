"""The fields of a message that are set."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message


def fields_of(message: Message) -> dict[str, Any]:
    """A flat message's fields by name; None for an optional one that is absent."""
    fields = message.DESCRIPTOR.fields
    return {
        field.name: getattr(message, field.name)
        if not field.has_presence or message.HasField(field.name)
        else None
        for field in fields
    }
