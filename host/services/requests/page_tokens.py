"""The pages of lists: their sizes, and the tokens that say where a list or a stream goes on.

The tokens are signed, so that no client can make one up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from latlab.domain.errors import InvalidRequest

MAX_CHARS = 4_096
_MAC_BYTES = 16
# They may differ from page to page of one list.
_FIELDS_OF_A_PAGE = ("page_size", "page_token", "resume_token")

Position = Sequence["str | int | float"]

T = TypeVar("T")


def page_size(wanted: int, usual: int, most: int) -> int:
    """Return the size of a page: the usual one for 0, and the most for more (AIP-158)."""
    return min(wanted or usual, most)


class PageTokens:
    """Makes and reads the tokens of one database's lists.

    A token belongs to one request, whatever its page's size is. It gives no rights: what is listed
    is decided again for each page.
    """

    def __init__(self, database_id: str) -> None:
        self._key = hashlib.sha256(b"page tokens of " + database_id.encode()).digest()

    def make(self, request: Message, position: Position) -> str:
        """Return the token of the page behind a position of the request's list."""
        text = json.dumps(list(position)).encode()
        return base64.urlsafe_b64encode(self._mac(request, text) + text).decode()

    def cut(
        self, request: Message, found: Sequence[tuple[T, Position]], size: int
    ) -> tuple[list[T], str]:
        """Return the entries of a page, and the token of the next one: "" at the end.

        Args:
            request: The list's request.
            found: The entries from the page's first on, each with its position: one more than the
                page takes, unless the list ends before.
            size: How many the page takes.
        """
        page = found[:size]
        token = self.make(request, page[-1][1]) if len(found) > size else ""
        return [entry for entry, _ in page], token

    def read(self, request: Message, token: str) -> list[str | int | float] | None:
        """Return a token's position; None for the empty token, that of the first page.

        Raises InvalidRequest if the token was not made for this request.
        """
        if not token:
            return None
        try:
            raw = base64.urlsafe_b64decode(token[:MAX_CHARS].encode())
        except ValueError:
            raw = b""
        mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        is_canonical = base64.urlsafe_b64encode(raw).decode() == token
        if not is_canonical or not hmac.compare_digest(mac, self._mac(request, text)):
            raise InvalidRequest(
                "the page token is not of this list: send the token of the page before, with the"
                " same request, or none to begin again",
                "page_token"
                if "page_token" in request.DESCRIPTOR.fields_by_name
                else "resume_token",
            )
        position = json.loads(text)
        assert isinstance(position, list)  # `make` has signed it
        return position

    def _mac(self, request: Message, text: bytes) -> bytes:
        listed = type(request)()
        listed.MergeFrom(request)
        for field in _FIELDS_OF_A_PAGE:
            if field in request.DESCRIPTOR.fields_by_name:
                listed.ClearField(field)
        kind = request.DESCRIPTOR.full_name.encode()
        query = listed.SerializeToString(deterministic=True)
        signed = b"".join(len(part).to_bytes(8, "big") + part for part in (kind, query, text))
        return hmac.digest(self._key, signed, "sha256")[:_MAC_BYTES]
