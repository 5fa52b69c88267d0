"""Networks that users have written or exported, named by where they are."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from latlab.domain.errors import ExportError
from latlab.domain.program import TensorSpec
from latlab.export.execution.quiet import quiet
from latlab.export.execution.user_code import place_of

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

EXAMPLE_INPUTS = "example_inputs"


@dataclass(frozen=True)
class UserNetwork:
    """A network in a user's file or package.

    Attributes:
        reference: "FILE.py:NAME", "package.module:NAME" or "FILE.pt2". NAME is a module, or a
            function without arguments that returns one.
        inputs: The inputs that the user names; empty if the network brings its own.
    """

    reference: str
    inputs: tuple[TensorSpec, ...] = ()

    def load(self) -> tuple[nn.Module, Inputs]:
        """Run the user's code, and return the module and its inputs.

        Random numbers are seeded first, so random weights are the same every time.

        Raises:
            ExportError: There is no such network or it has no inputs, or its code fails. The
                message says where and what to do.
        """
        with quiet():
            from latlab.export.execution.isolation import kept_random_states, seed

            with kept_random_states():
                seed()
                file, _, name = self.reference.rpartition(":")
                if self.reference.endswith(".pt2"):
                    module, inputs = _of_archive(Path(self.reference))
                elif file and name:
                    module, inputs = _of_code(file, name)
                else:
                    raise ExportError(
                        f"{self.reference} names no network: give FILE.py:NAME, "
                        "package.module:NAME or FILE.pt2"
                    )
        if not self.inputs and inputs is None:
            raise ExportError(
                f"the inputs of {self.reference} are not known: give --input for each, such as "
                f"--input 1x3x224x224, or define {EXAMPLE_INPUTS}() beside it"
            )
        return module, self.inputs or inputs


def _of_archive(path: Path) -> tuple[nn.Module, Any]:
    """Return the module and the inputs of a file of torch.export, which may run any code."""
    import torch

    from latlab.export.execution.example import example_of_call

    _require_file(path)
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise ExportError(
            f"{path} cannot be read as an exported program: write it with torch.export.save of "
            f"PyTorch {torch.__version__} ({_first_line(error)})"
        ) from error
    module = program.module(check_guards=False)
    # It is exported in evaluation mode or it is not. PyTorch refuses to be asked.
    del module.train, module.eval
    if program.example_inputs is None:
        return module, None
    return module, example_of_call(module, *program.example_inputs)


def _of_code(file: str, name: str) -> tuple[nn.Module, Any]:
    """Return the module and the inputs that a file or an importable module holds."""
    from torch import nn

    is_file = file.endswith(".py")
    folder = Path(file).resolve().parent if is_file else Path.cwd()
    with _importing_from(folder):
        with _errors_of_the_user(f"importing {file}"):
            code = _run_file(Path(file)) if is_file else _import(file)
        if not hasattr(code, name):
            raise ExportError(f"{file} has no {name}: it has {_listed(code)}")
        value = getattr(code, name)
        if not isinstance(value, nn.Module) and callable(value):
            value = _call(value, f"{file}:{name}")
        if not isinstance(value, nn.Module):
            raise ExportError(
                f"{file}:{name} is of the type {type(value).__name__}: name a torch.nn.Module, "
                "or a function without arguments that returns one"
            )
        inputs = getattr(code, EXAMPLE_INPUTS, None)
        if callable(inputs):
            inputs = _call(inputs, f"{file}:{EXAMPLE_INPUTS}")
    return value, inputs


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ExportError(f"there is no file {path}: give the path of one that exists")


def _run_file(path: Path) -> ModuleType:
    _require_file(path)
    name = f"_user_{path.stem}"
    module = sys.modules[name] = ModuleType(name)  # dataclasses look there
    module.__file__ = str(path)
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ExportError(
                f"there is no module {error.name}: go to the folder that holds it, install it, or "
                "give FILE.py:NAME"
            ) from error
        raise


def _call(function: Any, name: str) -> Any:  # noqa: ANN401 -- what users write
    with contextlib.suppress(ValueError, TypeError):  # some callables have no signature
        needed = [
            each.name
            for each in inspect.signature(function).parameters.values()
            if each.default is each.empty and not each.kind.name.startswith("VAR")
        ]
        if needed:
            raise ExportError(
                f"{name} needs the arguments {', '.join(needed)}: name a function without "
                "arguments that calls it"
            )
    with _errors_of_the_user(f"calling {name}"):
        return function()


@contextlib.contextmanager
def _errors_of_the_user(action: str) -> Iterator[None]:
    """Raise any error of the user's code as an ExportError that says where it arose."""
    try:
        yield
    except (ExportError, MemoryError):
        raise
    except SystemExit as error:
        raise ExportError(
            f"{action} ends Python: run the program's own work under "
            'if __name__ == "__main__" only'
        ) from error
    except Exception as error:
        place = place_of(error)
        raise ExportError(
            f"{action} fails{f' at {place}' if place else ''}: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from error


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let the user's code import its neighbours, as `python FILE` does.

    They are forgotten afterwards: the next network may have others of the same names.
    """
    before = set(sys.modules)
    tops = {name.split(".")[0] for name in before}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            place = folder.joinpath(*name.split("."))
            file = getattr(sys.modules[name], "__file__", None)
            if name.split(".")[0] not in tops and file in (
                str(place.with_suffix(".py")),
                str(place / "__init__.py"),
            ):
                del sys.modules[name]


def _listed(code: ModuleType) -> str:
    names = [
        name
        for name, value in vars(code).items()
        if callable(value) and name[0] != "_" and name != EXAMPLE_INPUTS
    ]
    return ", ".join(names[:10]) or "nothing that can be called"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0]
