"""HTML and SVG from the templates beside this package's modules."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from latlab.domain.checks.text import cleaned
from latlab.domain.estimate import milliseconds_text
from search.report.drawing.palette import css_variables
from search.report.drawing.words import bounds, millions, number, percent, share


def _harmless(value: object) -> object:
    """Return what a template shows, without the effects of control characters."""
    return cleaned(value) if type(value) is str else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("search.report"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_harmless,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {each.__name__: each for each in (bounds, millions, number, percent, share)}
_ENVIRONMENT.filters["milliseconds"] = milliseconds_text
_ENVIRONMENT.globals["palette"] = Markup(css_variables())


def render(template: str, **values: object) -> Markup:
    """Fill in a template of the folder `templates`; values that are not Markup are escaped."""
    return Markup(_ENVIRONMENT.get_template(template).render(values))
