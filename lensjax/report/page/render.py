"""The jinja2 templates of the page: values are escaped, and a name that a view lacks is an error."""

from __future__ import annotations

import functools
import math
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lensjax.report import names, pixels
from lensjax.report.page import filters

STYLES = ("page.css", "compare.css")
SCRIPTS = ("page.js", "compare.js", "save.js", "start.js")


@functools.cache
def make_environment() -> Environment:
    """Return the one environment of the package's templates."""
    environment = Environment(
        loader=PackageLoader("lensjax.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=filters.replace_unprintable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        function.__name__: function
        for function in (
            filters.number, filters.fraction, filters.to_safe_json, pixels.count_missing,
            names.method_label, names.method_text, names.score_label, names.score_text,
        )
    }  # fmt: skip
    environment.tests |= {"trivial": names.is_baseline, "finite": math.isfinite}
    return environment


def render_page(view: dict[str, Any]) -> str:
    """Return the whole page, with styles and scripts of `static/` inside it."""
    static = {"css": _read_static(STYLES), "js": _read_static(SCRIPTS)}
    return make_environment().get_template("page.html.j2").render(view | static)


def render_part(template: str, **view: Any) -> str:
    """Return a part of the page by itself."""
    return make_environment().get_template(template).render(view)


def _read_static(names: tuple[str, ...]) -> str:
    folder = resources.files("lensjax.report.page") / "static"
    return "".join((folder / name).read_text("utf-8") for name in names)
