"""The names of owners: the persons and projects that share a lab."""

from __future__ import annotations

import re

from latlab.domain.errors import InvalidRequest

MAX_CHARS = 100
_NAME = re.compile(rf"[A-Za-z0-9._@-]{{1,{MAX_CHARS}}}")


def check_owner(owner: str) -> str:
    """Return the name of an owner.

    Raises:
        InvalidRequest: It is no name: names are shown in logs, metrics and terminals.
    """
    if _NAME.fullmatch(owner) is None:
        raise InvalidRequest(
            f"the owner's name is {owner[: MAX_CHARS + 1]!r}: give 1 to {MAX_CHARS}"
            " letters, digits and characters of ._@-",
            "owner",
        )
    return owner
