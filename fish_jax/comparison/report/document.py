"""The frame of a page of results: one HTML file that needs nothing else, no network and no script.

It is page.html, its look page.css; page.js adds numbers under the pointer and larger pictures.
"""

import importlib.metadata
import platform
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

PACKAGES = ("fish_jax", "jax", "flax", "optax", "numpy")


def document(
    title: str, kind: str, verdict: str, findings: str, sections: Sequence[tuple[str, str, str]]
) -> str:
    """A page.

    Args:
      title, kind, verdict: its head, text: what was done, what the page is, what was found.
      findings: HTML, below the verdict.
      sections: an anchor, a title and HTML each, "scores" among the anchors; those without HTML
        are left out.

    Returns:
      HTML.
    """
    shown = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in shown)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(title)}</h2>{content}</section>'
        for name, title, content in shown
    )
    style, script = (_shipped(f"page.{suffix}") for suffix in ("css", "js"))
    return Template(_shipped("page.html")).substitute(
        title=escape(title),
        kind=escape(kind),
        verdict=escape(verdict),
        findings=findings,
        links=links,
        sections=body,
        style=style,
        script=script,
    )


def _shipped(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def versions() -> str:
    """Of what draws pages."""
    return ", ".join([f"Python {platform.python_version()}", *map(_version, PACKAGES)])


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
