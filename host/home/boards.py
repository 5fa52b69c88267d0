"""Store what the lab keeps of each enrolled board."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from host.home.documents import InvalidField, make_converter, structure
from latlab.common.certificates import fingerprint
from latlab.common.files import read_regular, replacing, storing
from latlab.domain.checks.address import is_address
from latlab.domain.errors import InvalidRequest, StorageError

MAX_BOARD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Board:
    """An enrolled board.

    Attributes:
        address: "host:port" of its agent.
        certificate: The agent's certificate as PEM, which is pinned.
        token: The token that the agent asks for.
    """

    address: str
    certificate: str
    token: str


class Boards:
    """Keeps each enrolled board in a file of mode 0600."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, address: str) -> Board | None:
        """Return the board as it was last enrolled; None if it was not.

        Raises:
            InvalidRequest: `address` is not an address.
            StorageError: The board's file is damaged.
        """
        file = self._file(address)
        try:
            with storing(file), contextlib.suppress(FileNotFoundError):
                document = json.loads(read_regular(file, MAX_BOARD_BYTES))
                board = structure(make_converter(), document, Board)
                fingerprint(board.certificate)
                return board
        except InvalidField as error:
            field_name = ".".join(map(str, error.path)) or "its content"
            raise _damaged(file, address, f"{field_name}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise _damaged(file, address, str(error)) from error
        return None

    def addresses(self) -> list[str]:
        """Return the addresses of the enrolled boards; other files in the folder do not count."""
        with storing(self._directory):
            stems = sorted(file.stem for file in self._directory.glob("*.json"))
        return [stem for stem in stems if is_address(stem)]

    def add(self, board: Board) -> None:
        """Store a board's record, which replaces an older record of it. Raises StorageError."""
        with storing(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(self._file(board.address), mode=0o600) as draft:
            draft.write_text(json.dumps(asdict(board)))

    def remove(self, address: str) -> None:
        """Forget a board; harmless if it was not enrolled. Raises StorageError."""
        file = self._file(address)
        with storing(file):
            file.unlink(missing_ok=True)

    def _file(self, address: str) -> Path:
        return self._directory / f"{checked_address(address)}.json"


def _damaged(file: Path, address: str, why: str) -> StorageError:
    return StorageError(
        f"{file} is damaged ({why}): `latlab devices remove {address}`, then enrol the board again"
    )


def checked_address(address: str) -> str:
    """Return `address`. Raises InvalidRequest if it is not the address of a board."""
    if not is_address(address):
        raise InvalidRequest(f"a board's address must be HOST:PORT, not {address[:80]!r}")
    return address
