"""The frame and the templates that reports share.

A report is one HTML file that needs no network and no script: page.html with page.css in it;
page.js adds numbers under the pointer and larger pictures.
"""

import functools
import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fish_jax.comparison.report.plots import key

TEMPLATES = Path(__file__).with_name("templates")
ALERTS = 8  # findings that are in sight; the rest is folded away
PACKAGES = ("fish_jax", "jax", "flax", "optax", "numpy")
WISH = {"low": "lower is better", "high": "higher is better", "real": "closer to real is better"}


class Figure(NamedTuple):
    """A chart under its caption.

    Attributes:
      title: the caption.
      note: behind it, in small letters; an alarm if it begins with the cross of a diverged run.
      chart: Markup; empty if there is nothing to draw.
      empty: the text shown instead.
    """

    title: str
    note: str = ""
    chart: Markup = Markup()
    empty: str = ""


def document(
    title: str, kind: str, verdict: str, findings: Markup, sections: Sequence[tuple[str, str, str]]
) -> str:
    """Puts the sections of a report into its frame.

    Args:
      title, kind, verdict: the head, as text: what was done, what the report is, what was found.
      findings: HTML below the verdict.
      sections: an anchor, a title and HTML each, "scores" among the anchors; those without HTML
        are left out.

    Returns:
      The HTML of the report.
    """
    head = {"title": title, "kind": kind, "verdict": verdict, "findings": findings}
    return fill("page.html", sections=[each for each in sections if each[2]], **head)


def fill(template: str, folder: Path = TEMPLATES, **fields: Any) -> Markup:
    """Fills a template; escapes all values except Markup.

    Args:
      template: the name of a file in `folder`, or in templates/.
      folder: with the templates of another kind of report.
      fields: by the names that the template uses.

    Returns:
      HTML.
    """
    return Markup(_environment(folder).get_template(template).render(fields))


@functools.cache
def _environment(folder: Path) -> Environment:
    made = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"key": key, "versions": versions, "wish": WISH}
    return made


def figures(each: Sequence[Figure]) -> Markup:
    """Figures side by side; empty if there are none."""
    return fill("figures.html", figures=each) if each else Markup()


def findings(items: Sequence[tuple[str, str, str]], heading: str, sound: str) -> Markup:
    """The problems of runs, as a list.

    Args:
      items: for each finding the run, the finding's name, and a sentence or two.
      heading: the heading of the list.
      sound: told where there is nothing to list.
    """
    return fill("findings.html", items=items, heading=heading, sound=sound, few=ALERTS)


def versions() -> str:
    """The versions of Python and of the packages that a report depends on."""
    return ", ".join([f"Python {platform.python_version()}", *map(_version, PACKAGES)])


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
