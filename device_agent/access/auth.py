"""The agent's token."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from device_agent.machine.conditions import read_text
from latlab.common.files import replacing


class Token:
    """The agent's secret, in a file of mode 0600 that is made if it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = read_text(path) or self.renew()

    def renew(self) -> str:
        """Replace the token on disk. The old one is refused from now on."""
        value = secrets.token_urlsafe(32)
        with replacing(self._path, mode=0o600) as draft:
            draft.write_bytes(value.encode())
        self._value = value
        return value

    def is_token(self, given: bytes) -> bool:
        """Return whether this is the token, in a time that says nothing about it."""
        return hmac.compare_digest(given, self._value.encode())
