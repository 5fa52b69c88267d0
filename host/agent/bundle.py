"""What an agent needs to run on a device with nothing installed: a directory for each ABI,
built by `make agent-bundle`."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from latlab.domain.errors import Unavailable

ABIS = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}  # as Android names them, and the bundles


@dataclass(frozen=True)
class Bundle:
    """`latlab-agent`, a POSIX shell script, starts the agent; `latlab-runner` is its runner."""

    folder: Path
    sha256: str  # of its content, as bundle.json says

    @classmethod
    def for_abi(cls, bundles: Path, android_abi: str) -> Bundle:
        """Raises Unavailable, saying what there are or how to build it."""
        if android_abi not in ABIS:
            able = " and ".join(ABIS)
            raise Unavailable(
                f"its ABI is {android_abi or 'not told'}: the lab has agents for {able}"
            )
        folder = bundles / ABIS[android_abi]
        try:
            content = json.loads((folder / "bundle.json").read_text())
        except FileNotFoundError:
            raise Unavailable(f"no agent at {folder}: build it with `make agent-bundle`") from None
        return cls(folder, str(content["sha256"]))

    def write_archive(self, file: IO[bytes]) -> None:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(self.folder, ".")

    def digest(self) -> str:
        """Of `find . -type f -exec sha256sum {} + | LC_ALL=C sort` in it."""
        lines = sorted(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  "
            f"./{path.relative_to(self.folder).as_posix()}\n"
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()
