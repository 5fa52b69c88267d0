"""The boards that were enrolled: how they are, and what the lab keeps of each."""

from __future__ import annotations

import contextlib
import hmac
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from host.agent.tls import fingerprint, pinned_channel, presented_certificate
from latlab.common.files import read_regular, replacing, storing
from latlab.domain.errors import (
    InvalidRequest,
    LabError,
    NotReady,
    StorageError,
    Unauthenticated,
    Unavailable,
)
from latlab.v1.device_agent_pb2 import EnrolRequest
from latlab.v1.device_agent_pb2_grpc import EnrolmentStub

ENROL_TIMEOUT_S = 10.0
MAX_ADDRESS = 200  # characters: a file is named after it
MAX_BOARD_BYTES = 1 << 16

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MAX_PORT = 65_535
_CODE = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})")
_REFUSALS: dict[grpc.StatusCode, type[LabError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.FAILED_PRECONDITION: NotReady,
}


@dataclass(frozen=True, slots=True)
class Board:
    """address: "host:port"; certificate: PEM, pinned; token: what its agent asks for."""

    address: str
    certificate: str
    token: str


class Boards:
    """A file of mode 0600 for each enrolled board."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, address: str) -> Board | None:
        """As it was enrolled last, None where it was not. Raises InvalidRequest where that is
        no address, StorageError where the board's file is damaged."""
        file = self._file(address)
        try:
            with storing(file), contextlib.suppress(FileNotFoundError):
                values = json.loads(read_regular(file, MAX_BOARD_BYTES))
                if any(not isinstance(value, str) for value in values.values()):
                    raise TypeError("its values are no strings")
                board = Board(**values)
                fingerprint(board.certificate)
                return board
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise StorageError(
                f"{file} is damaged ({error}): `latlab devices remove {address}`, then enrol the "
                "board again"
            ) from error
        return None

    def addresses(self) -> list[str]:
        """Of the boards whose files are there; other files in the folder are passed over."""
        with storing(self._directory):
            stems = sorted(file.stem for file in self._directory.glob("*.json"))
        return [stem for stem in stems if _is_address(stem)]

    def add(self, board: Board) -> None:
        with storing(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(self._file(board.address), mode=0o600) as draft:
            draft.write_text(json.dumps(asdict(board)))

    def remove(self, address: str) -> None:
        """Harmless where it was not enrolled."""
        file = self._file(address)
        with storing(file):
            file.unlink(missing_ok=True)

    def _file(self, address: str) -> Path:
        return self._directory / f"{checked_address(address)}.json"


def checked_address(address: str) -> str:
    """The same. Raises InvalidRequest where it is none."""
    if not _is_address(address):
        raise InvalidRequest(f"a board's address is HOST:PORT, not {address[:80]!r}")
    return address


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and len(text) <= MAX_ADDRESS and int(match[1]) <= _MAX_PORT


def enrol(address: str, code: str) -> Board:
    """Trades the code that the agent printed for its token, with the agent that the code
    names and with nobody else.

    Raises InvalidRequest where address or code is none, Unauthenticated where the code is
    another agent's or wrong, NotReady where it was used, Unavailable.
    """
    match = _CODE.fullmatch(code)
    if match is None:
        raise InvalidRequest("this is no enrolment code: it is one line of 97 characters")
    named_fingerprint, secret = match.groups()
    certificate = presented_certificate(checked_address(address))
    if not hmac.compare_digest(fingerprint(certificate), named_fingerprint):
        raise Unauthenticated(
            f"{address} does not show the certificate that the code names: the code is of"
            " another agent, or another answers in its place. Nothing was told to it"
        )
    with pinned_channel(address, certificate) as channel:
        try:
            response = EnrolmentStub(channel).Enrol(
                EnrolRequest(secret=secret), timeout=ENROL_TIMEOUT_S
            )
        except grpc.RpcError as error:
            refusal = _REFUSALS.get(error.code(), Unavailable)
            raise refusal(f"the agent at {address}: {error.details()}") from error
    return Board(address, certificate, response.token)
