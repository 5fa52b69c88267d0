"""The pieces of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from search.report.drawing.canvas import Plot
from search.report.drawing.stylesheet import STYLESHEET
from search.report.drawing.svg import inline_svg
from search.space.architecture import Architecture
from search.space.counts import counts


def page(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """The whole document; it needs nothing else."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)} · Latency Lab</title><style>{STYLESHEET}</style></head>"
        f"<body><main><header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def section(title: str, content: str) -> str:
    """Nothing where there is no content."""
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Of each a number and its label."""
    cells = "".join(f"<div><b>{escape(value)}</b>{escape(label)}</div>" for value, label in values)
    return f'<div class="tiles">{cells}</div>'


def table(head: Sequence[str], rows: Iterable[str], name: str) -> str:
    cells = "".join(f"<th>{label}</th>" for label in head)
    return (
        f'<div class="scroll"><table class="{name}"><thead><tr>{cells}</tr></thead>'
        f"{''.join(rows)}</table></div>"
    )


def pairs(values: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in values.items())
    return f"<dl>{items}</dl>" if items else ""


def figure(plot: Plot, name: str) -> str:
    return f"<figure>{inline_svg(plot, name, name.replace('-', ' '))}</figure>"


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def nothing(text: str) -> str:
    return f'<p class="nothing">{escape(text)}</p>'


def count_cells(architecture: Architecture) -> str:
    """Parameters and multiply-adds, in millions."""
    of = counts(architecture)
    return f"<td>{of.parameters / 1e6:.2f}</td><td>{of.multiply_adds / 1e6:.0f}</td>"
