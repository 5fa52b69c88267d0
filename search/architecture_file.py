"""Architectures in JSON files, which people write by hand as well."""

from __future__ import annotations

import json
from pathlib import Path

from host.files import read_regular
from search.architecture import Architecture, checked_architecture

MAX_BYTES = 1 << 20


def read_architecture(path: Path) -> Architecture:
    """Read a JSON file as `latlab search` writes it.

    Raises ValueError, naming the file and the field.
    """
    try:
        document = json.loads(read_regular(path, MAX_BYTES), parse_constant=_no_number)
        return checked_architecture(document)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise ValueError(f"{path} does not hold an architecture: too deeply nested") from error
    except ValueError as error:  # that of JSON and of Unicode too
        raise ValueError(f"{path} does not hold an architecture: {error}") from error


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
