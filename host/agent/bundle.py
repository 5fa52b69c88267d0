"""The agent's bundles: all that an agent needs on a device with nothing installed.

`make agent-bundle` builds a folder for each ABI, and the wheel latency-lab-bundle holds them all.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from host.home.paths import BUNDLE_FIX
from latlab.domain.errors import Unavailable

ABIS = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}  # Android's names, and the bundles' folders


_COMPILED = "__pycache__"  # pip compiles a wheel's modules, for a Python that the phone lacks


@dataclass(frozen=True)
class Bundle:
    """A folder in which `latlab-agent`, a POSIX shell script, starts the agent.

    Attributes:
        folder: The folder.
        sha256: The hash of the folder's content, as its bundle.json says.
    """

    folder: Path
    sha256: str

    @classmethod
    def for_abi(cls, bundles: Path, android_abi: str) -> Bundle:
        """Return the bundle for a phone. Raises Unavailable, saying how to get one."""
        if android_abi not in ABIS:
            is_32_bit = android_abi in ("armeabi-v7a", "armeabi", "x86")
            raise Unavailable(
                f"its ABI is {android_abi or 'unknown'}{', which is 32-bit' * is_32_bit}: the lab"
                f" has agents for {' and '.join(ABIS)}; use another phone"
            )
        folder = bundles / ABIS[android_abi]
        try:
            content = json.loads((folder / "bundle.json").read_text())
        except FileNotFoundError:
            raise Unavailable(f"there is no agent at {folder}: `{BUNDLE_FIX}` brings it") from None
        return cls(folder, str(content["sha256"]))

    def write_archive(self, file: IO[bytes]) -> None:
        """Write the folder to a tar archive."""
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(self.folder, ".", filter=_unless_compiled)

    def digest(self) -> str:
        """Return the SHA-256 of the list of the files that `write_archive` writes.

        The list is that of `find . -type f -exec sha256sum {} + | LC_ALL=C sort`.
        """
        lines = sorted(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  "
            f"./{path.relative_to(self.folder).as_posix()}\n"
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink() and path.parent.name != _COMPILED
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _unless_compiled(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(_COMPILED) else member
