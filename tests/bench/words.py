"""Find docstrings, help texts and errors that read like riddles.

A text is a riddle if it begins with Of, What, As or Whether, or if it is the docstring of a public
function and does not begin with a verb. Nothing here knows grammar: a first word that is none of
the words below, and no participle, is taken for a verb.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests import structure

RIDDLES = frozenset({"of", "what", "as", "whether"})
NO_VERBS = frozenset(
    """
    a all an and any at before both but by each either every few for from here his how
    if in its it many more most neither no nobody none not nothing on once one only or
    other others over same since so some such than that the their then there these they
    this those to two until up upon was were when where which while who whoever whose
    why with within without
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Text:
    """A text that people read.

    Attributes:
        place: The module and line.
        kind: "docstring", "help" or "error".
        text: Its first line.
        is_function: Whether it is the docstring of a function.
    """

    place: str
    kind: str
    text: str
    is_function: bool = False

    @property
    def is_riddle(self) -> bool:
        """Whether people would have to read it twice, as far as its first word shows that."""
        first = self.text.split(maxsplit=1)[0].strip("`'\",:;.()").lower() if self.text else ""
        if first in RIDDLES:
            return True
        return self.is_function and (first in NO_VERBS or first.endswith("ing"))


def texts() -> Iterator[Text]:
    """Yield every public docstring, help text and error of the sources."""
    for module, path in structure.modules().items():
        yield from _docstrings(module, structure.tree(path))
        for node in ast.walk(structure.tree(path)):
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    if keyword.arg == "help" and (text := _literal(keyword.value)):
                        yield Text(f"{module}:{node.lineno}", "help", text)
            if text := _error(node):
                yield Text(f"{module}:{getattr(node, 'lineno', 0)}", "error", text)


def riddles() -> list[str]:
    """Return each riddle with its place."""
    return [f"{text.place}: {text.text}" for text in texts() if text.is_riddle]


def _docstrings(module: str, node: ast.AST, is_public: bool = True) -> Iterator[Text]:
    """Yield the docstring of a module, class or function, and those of what it holds."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if not is_public:
        return
    if docstring := ast.get_docstring(node):
        line = getattr(node, "lineno", 1)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        is_function = is_function and not _is_property(node)
        yield Text(f"{module}:{line}", "docstring", docstring.splitlines()[0], is_function)
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            yield from _docstrings(module, child, not getattr(child, "name", "_").startswith("_"))


def _error(node: ast.AST) -> str:
    """Return the text of the error that a statement raises; "" for other nodes."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
        return _literal(node.exc.args[0])
    return ""


def _is_property(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any("property" in ast.unparse(decorator) for decorator in decorators)


def _literal(node: ast.expr) -> str:
    """Return a text as far as it is written in the source; "" for other expressions."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *_]):
            return _literal(first) or "{}"
        case _:
            return ""
