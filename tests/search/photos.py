"""Image files, in folders by class."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def write_photos(folder: Path, each: int) -> Path:
    """So many of each of two classes, and one file that is no image, whose path is returned."""
    for name, grey in (("dark", 40), ("light", 200)):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            Image.new("L", (40, 30), grey + index).save(folder / name / f"{index}.png")
    broken = folder / "light" / "broken.jpg"
    broken.write_bytes(b"no image")
    return broken
