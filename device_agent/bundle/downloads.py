"""What a bundle is made of: pinned files, downloaded once."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from device_agent.bundle import BundleError
from device_agent.store import replacing

_TIMEOUT_S = 60.0  # without a byte
_CHUNK_BYTES = 1 << 20
_AT_ONCE = 4


@dataclass(frozen=True)
class Pin:
    sha256: str
    url: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def read_pins(path: Path) -> list[Pin]:
    """From lines of "SHA256  URL"; those with a # in front are comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [Pin(*line.split()) for line in lines]


def fetch(pins: Sequence[Pin], folder: Path) -> list[Path]:
    """The files of `pins`, in their order, from `folder` where they are there already.
    Raises BundleError where one cannot be had, or is not what was pinned."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda pin: _fetch(pin, folder / pin.name), pins))


def _fetch(pin: Pin, path: Path) -> Path:
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == pin.sha256:
        return path
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(pin.url, timeout=_TIMEOUT_S) as answer, replacing(path) as file:
            while chunk := answer.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != pin.sha256:
                raise BundleError(f"{pin.url} hashes to {digest.hexdigest()}, not to {pin.sha256}")
    except urllib.error.HTTPError as error:
        raise BundleError(f"{pin.url}: {error}; if it is gone, pin what took its place") from error
    except (OSError, http.client.HTTPException) as error:
        raise BundleError(f"{pin.url}: {error}") from error
    return path
