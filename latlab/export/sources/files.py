"""Name the files of the user's code so that they say nothing about this machine."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = ("site-packages", "dist-packages")


def shown_file(file: str) -> str:
    """Return the name of a file of code, which is never an absolute path.

    It is relative to the current directory if the file is below that. A file of a package is
    named from the package's top folder on, and any other file by its name alone.

    Args:
        file: The path of the file, which need not exist: it may be one of another machine.
    """
    path = Path(file)
    for place in range(len(path.parts) - 1, 0, -1):
        if path.parts[place - 1] in _INSTALLED:
            return Path(*path.parts[place:]).as_posix()
    absolute = path.absolute()
    if absolute.is_relative_to(Path.cwd()) and ".." not in path.parts:
        return absolute.relative_to(Path.cwd()).as_posix()
    top = absolute.parent
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    return absolute.relative_to(top).as_posix()
