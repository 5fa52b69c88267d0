"""Where in the user's own code an error arose."""

from __future__ import annotations

import functools
import importlib.util
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType

# The code of these packages is not the user's.
_PACKAGES = ("torch", "executorch", "torchao", "latlab")
_FILE_AND_LINE = re.compile(r'File "(.+?)", line (\d+)')


def place_of(error: BaseException) -> str:
    """Return the file and the line of the user's code that raised an error, or ""."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    places = [f"{file}:{line}" for file, line, _ in frames(error) if is_users(file)]
    return places[-1] if places else ""


def frames(error: BaseException) -> Iterator[tuple[str, int, FrameType]]:
    """Yield file, line and frame of each call that led to an error, and then to its causes."""
    cause: BaseException | None = error
    while cause is not None:
        for frame, line in traceback.walk_tb(cause.__traceback__):
            yield frame.f_code.co_filename, line, frame
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def users_place(stack_trace: str) -> tuple[str, int]:
    """Return the user's innermost file and line in the text of a stack trace; "" and 0 if none."""
    places = _FILE_AND_LINE.findall(stack_trace)
    users = [(file, int(line)) for file, line in places if is_users(file)]
    return users[-1] if users else ("", 0)


@functools.lru_cache(maxsize=4096)  # each node of a graph asks for every frame of its call
def is_users(file: str) -> bool:
    """Return whether a file is of the user's own code, or of a package that it uses."""
    path = Path(file)
    if file.startswith("<"):  # generated code
        return False
    is_standard = path.is_relative_to(_library()) and "site-packages" not in path.parts
    return not is_standard and not any(map(path.is_relative_to, _folders()))


@functools.cache
def _folders() -> tuple[Path, ...]:
    specs = map(importlib.util.find_spec, _PACKAGES)
    return tuple(Path(place) for spec in specs if spec for place in _places(spec))


def _places(spec: ModuleSpec) -> Iterable[str]:
    return spec.submodule_search_locations or ()


@functools.cache
def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))
