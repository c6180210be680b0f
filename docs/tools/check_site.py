"""Checks that a browser that reads the built site asks no other host for anything.

    python docs/tools/check_site.py site/

Links that a reader follows may lead anywhere. What a page loads by itself may not: scripts, styles,
fonts, pictures, frames. The script of the theme loads some parts from other hosts when a page has
certain elements (diagrams of Mermaid, a repository's button); such elements are refused, too.
Needs nothing but Python.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADED = {  # the attributes that make a browser load something, by element
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
NAMES = ("canonical", "author", "license", "prev", "next", "alternate")  # links that load nothing
# Classes for which the theme's script loads from unpkg.com, or asks the API of a forge.
LOADERS = ("mermaid", "glightbox", "md-exec", "md-source")
OTHER_HOST = re.compile(r"^\s*(?:https?:)?//", re.I)
IN_CSS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.I)


class _Page(HTMLParser):
    """Collects what a page loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if not (tag == "link" and values.get("rel", "").lower() in NAMES):
            urls = [values[name] for name in LOADED.get(tag, ()) if name in values]
            parts = [part for url in urls for part in url.split(",")]  # of a srcset
            self.found += [f"<{tag}> {part.strip()}" for part in parts if OTHER_HOST.match(part)]
        self.found += [f"style {url}" for url in IN_CSS.findall(values.get("style", ""))]
        classes = values.get("class", "").split()
        self.found += [f"class {name}" for name in LOADERS if name in classes]

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.found += [f"<style> {url}" for url in IN_CSS.findall(data)]


def loaded(path: Path) -> list[str]:
    """What a file of the site makes a browser load from other hosts."""
    if path.suffix not in (".html", ".css", ".svg"):
        return []
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return IN_CSS.findall(text)
    page = _Page()
    page.feed(text)
    return page.found


def main() -> None:
    """Checks a folder, and names what is wrong."""
    site = Path(sys.argv[1])
    pages = sorted(site.rglob("*.html"))
    if not pages:
        sys.exit(f"{site} has no pages; run `make docs` first")
    wrong = [
        f"{path.relative_to(site)}: {each}"
        for path in sorted(site.rglob("*"))
        for each in loaded(path)
    ]
    if wrong:
        sys.exit("Pages load from other hosts:\n" + "\n".join(wrong))
    print(f"{len(pages)} pages, none loads anything from another host")


if __name__ == "__main__":
    main()
