"""The boards that were enrolled: how they are, and what the lab keeps of each."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from latlab.common.certificates import fingerprint
from latlab.common.files import read_regular, replacing, storing
from latlab.domain.errors import (
    InvalidRequest,
    StorageError,
)

MAX_ADDRESS = 200  # characters: a file is named after it
MAX_BOARD_BYTES = 1 << 16

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MAX_PORT = 65_535


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
