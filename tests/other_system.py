"""A Python in which what only Linux has is missing, in child processes too.

`modules` are missing on Windows, /proc on macOS, and `os.sched_*` on both.
"""

from __future__ import annotations

from pathlib import Path

_SITE_CUSTOMIZE = '''
import os
import sys


class Missing:
    """Finds none of these modules."""

    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource"):
            raise ImportError(f"No module named {name!r}")


def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments:
        place = arguments[0]
        place = os.fsdecode(place) if isinstance(place, (str, bytes)) else ""
        if place == "/proc" or place.startswith("/proc/"):
            raise FileNotFoundError(2, "No such file or directory", place)


sys.meta_path.insert(0, Missing())
for name in [name for name in dir(os) if name.startswith("sched_")]:
    delattr(os, name)
sys.addaudithook(refuse)
'''


def other_system(folder: Path) -> str:
    """Return the PYTHONPATH of such a Python, whose folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE_CUSTOMIZE)
    return str(folder)
