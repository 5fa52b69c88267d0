"""Plots as SVG inside a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context

from search.report.drawing.canvas import STYLE, Plot
from search.report.drawing.palette import as_variables

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
POINTS = {f"{{{SVG}}}{tag}" for tag in ("use", "path")}

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def inline_svg(plot: Plot, name: str) -> Markup:
    """Return the plot as an <svg> element for a page.

    Its colours are CSS variables and its points have tooltips. Its ids begin with `name`, so
    that a page can hold several plots.
    """
    buffer = io.StringIO()
    with rc_context(STYLE):
        plot.figure.savefig(buffer, format="svg", transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for gid, texts in plot.tooltips.items():
        group = root.find(f".//*[@id='{gid}']")
        if group is not None:
            _add_titles(group, texts)
    _prefix_ids(root.iter(), name)
    for size in ("width", "height"):
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-label", name.replace("-", " "))
    return Markup(as_variables(ElementTree.tostring(root, encoding="unicode")))


def _add_titles(group: ElementTree.Element, texts: Sequence[str]) -> None:
    """Give each point its text; matplotlib draws points in order, as <use> or as <path>."""
    definitions = {e for defs in group.iter(f"{{{SVG}}}defs") for e in defs.iter()}
    points = [e for e in group.iter() if e.tag in POINTS and e not in definitions]
    for point, text in zip(points, texts, strict=True):
        ElementTree.SubElement(point, f"{{{SVG}}}title").text = text


def _prefix_ids(elements: Iterable[ElementTree.Element], name: str) -> None:
    for element in elements:
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == f"{{{XLINK}}}href":
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, re.sub(r"url\(#", f"url(#{name}-", value))
