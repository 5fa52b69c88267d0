"""What the sources' imports, folders and functions are like: for the layering test and for
`make bench-house`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("latlab", "host", "search", "latency_models", "device_agent")

# Who may import whom, by folder or single file: the longest name that fits a module counts, and
# a name stands for all that lies below it. A room may always import what lies in itself.
ARROWS: Mapping[str, frozenset[str]] = {
    room: frozenset(allowed.split())
    for room, allowed in {
        "latlab": "latlab.client latlab.domain latlab.profiling",
        "latlab.v1": "",
        "latlab.domain": "",
        "latlab.common": "latlab.domain",
        "latlab.convert": "latlab.v1 latlab.common latlab.domain",
        "latlab.programs": "latlab.domain",
        "latlab.profiling": "latlab.domain latlab.programs",
        "latlab.client": "latlab.convert latlab.common latlab.domain latlab.v1 latlab.export"
        " latlab.profiling",
        "latlab.export": "latlab.domain latlab.programs latlab.common",
        "latency_models": "latlab.domain",
        "device_agent": "latlab.v1 latlab.common latlab.convert latlab.domain",
        "host.home": "latlab.client latlab.common latlab.domain",
        "host.measuring": "latlab.domain latency_models",
        "host.database": "latlab.domain latlab.common latency_models",
        "host.agent": "host.home latlab.client latlab.common latlab.convert latlab.domain"
        " latlab.v1",
        "host.jobs": "host.database host.measuring latlab.domain",
        "host.predicting": "host.database host.measuring latency_models latlab.common"
        " latlab.domain",
        "host.devices": "host.jobs host.agent host.home host.database host.measuring"
        " latlab.domain latlab.common",
        "host.services": "host.devices host.predicting host.jobs host.database host.home"
        " latlab.convert latlab.programs latlab.domain latlab.common latlab.v1",
        "host.operation": "host.devices host.predicting host.jobs host.database latlab.common"
        " latlab.domain",
        "host.doctor": "latlab.client latlab.common latlab.domain host.devices.transports"
        " host.agent host.home host.measuring",
        "host.cli": "latlab.client latlab.export latlab.common latlab.domain host.agent"
        " host.database host.home host.measuring",
        "host.daemon": "host.services host.operation host.predicting host.devices host.jobs"
        " host.database host.home latlab.programs latlab.common latlab.domain",
        "search.space": "latlab.domain",
        "search.study": "search.space latlab.common latlab.domain",
        "search.strategies": "search.study search.space latlab.domain",
        "search.accuracy": "search.study search.space latlab.common latlab.domain",
        "search.latency": "search.study search.space latlab.client latlab.export latlab.profiling"
        " latlab.domain host.measuring latency_models",
        "search.report": "search.study search.space latlab.domain latlab.profiling latlab.common",
        "search": "search.space search.study search.strategies search.latency search.accuracy"
        " latlab",
        "search.testing": "host.home host.measuring latlab search.cli search.latency search.space",
        "search.cli": "search host.cli host.home host.doctor host.measuring latency_models latlab",
    }.items()
}


@dataclass(frozen=True)
class Import:
    """module: which imports; imported: a module of ours; line: where."""

    module: str
    imported: str
    line: int


@cache
def modules() -> Mapping[str, Path]:
    """Our modules by their dotted names, generated code aside."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            if not path.stem.endswith(("_pb2", "_pb2_grpc", "_generated")):
                parts = path.relative_to(REPOSITORY).with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_names(path: Path) -> Iterator[tuple[str, int]]:
    """Whatever a file imports, inside functions too, and where: "os", "pathlib.Path"."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@cache
def imports() -> tuple[Import, ...]:
    """Between our modules."""
    found = []
    for module, path in modules().items():
        for name, line in imported_names(path):
            if name.split(".")[0] in PACKAGES:
                imported = name if name in modules() else name.rpartition(".")[0]
                found.append(Import(module, imported, line))
    return tuple(found)


def room(module: str) -> str:
    """The longest name in ARROWS that the module is or lies below."""
    fitting = [name for name in ARROWS if is_in(module, name)]
    return max(fitting, key=len, default="")


def is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def is_allowed(each: Import) -> bool:
    """Whether an arrow leads there. The files directly in a folder whose rooms have arrows of
    their own, "search" say, may be imported by those that name them alone."""
    home, target = room(each.module), room(each.imported)
    if home == target:
        return True
    return any(is_in(each.imported, name) for name in ARROWS[home])


def wrong_imports() -> list[str]:
    """Those that no arrow allows."""
    found = (each for each in imports() if not is_allowed(each))
    return [f"{each.module}:{each.line} imports {each.imported}" for each in found]


def folder(module: str) -> str:
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def module_cycles() -> list[tuple[str, ...]]:
    known = [each for each in imports() if each.imported in modules()]
    return cycles((each.module, each.imported) for each in known)


def folder_cycles() -> list[tuple[str, ...]]:
    known = [each for each in imports() if each.imported in modules()]
    return cycles((folder(each.module), folder(each.imported)) for each in known)


def cycles(edges: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """The strongly connected components of more than one node (Tarjan's algorithm)."""
    ahead: dict[str, set[str]] = {}
    for source, target in edges:
        ahead.setdefault(source, set()).add(target)
        ahead.setdefault(target, set())
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in ahead[node]:
            if other not in index:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == index[node]:
            start = stack.index(node)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                found.append(tuple(sorted(component)))

    for node in ahead:
        if node not in index:
            visit(node)
    return sorted(found)


def folder_sizes() -> dict[str, int]:
    """How many modules lie directly in each folder, `__init__` aside."""
    sizes: dict[str, int] = {}
    for path in modules().values():
        if path.name != "__init__.py":
            name = path.parent.relative_to(REPOSITORY).as_posix()
            sizes[name] = sizes.get(name, 0) + 1
    return sizes


def file_lines() -> dict[str, int]:
    return {module: len(path.read_text().splitlines()) for module, path in modules().items()}


@dataclass(frozen=True)
class Function:
    """lines: from its name to its end, decorators and all; parameters: without self and cls;
    is_command: whether Typer calls it; body_lines: without signature and docstring."""

    name: str
    lines: int
    parameters: int
    is_command: bool
    body_lines: int


def functions() -> list[Function]:
    return [
        _function(module, node)
        for module, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _function(module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    arguments = node.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    assert node.end_lineno is not None
    return Function(
        f"{module}.{node.name}",
        node.end_lineno - node.lineno + 1,
        len([name for name in names if name not in ("self", "cls")]),
        _is_command(module, node),
        node.end_lineno - body[0].lineno + 1 if body else 0,
    )


def _is_command(module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Typer calls it: by its decorator, or as `search.cli` lists it."""
    if any("command" in ast.unparse(decorator) for decorator in node.decorator_list):
        return True
    return f'"{module}:{node.name}"' in modules()["search.cli"].read_text()
