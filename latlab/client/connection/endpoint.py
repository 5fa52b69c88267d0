"""Where a lab is, and how a client proves to be allowed there."""

from __future__ import annotations

from dataclasses import dataclass, field

from latlab.domain.checks.address import is_address, is_loopback
from latlab.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a lab, and what a call to it needs.

    Attributes:
        address: "host:port".
        token: The token that is sent with each call.
        certificate: The lab's certificate as PEM, which is pinned; None for calls without TLS.
        is_own: It is the lab of this machine, found by its folder. Its port changes with each
            start.
    """

    address: str
    token: str = field(repr=False)
    certificate: str | None = field(default=None, repr=False)
    is_own: bool = False

    def __post_init__(self) -> None:
        """Refuse an address that is none, and one beyond loopback without TLS."""
        if not is_address(self.address):
            raise InvalidRequest(f"a lab's address must be HOST:PORT, not {self.address[:80]!r}")
        if self.certificate is None and not is_loopback(self.address):
            raise InvalidRequest(
                f"{self.address} is another machine, and no certificate of its lab is given: set"
                " LATLAB_CA to sha256:FINGERPRINT, as `latlab lab status` shows it there, or to a"
                " file with the certificate"
            )
