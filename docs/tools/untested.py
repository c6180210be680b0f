"""A Markdown extension: reads "```python notest" as "```python".

The tests run the examples of the pages, except those marked so. The site needs no such mark.
"""

import re
from typing import Any

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

MARK = re.compile(r"^(\s*`{3,}\w+) notest\s*$")


class _Unmark(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return [MARK.sub(r"\1", line) for line in lines]


class Untested(Extension):
    """Removes the mark before code blocks are read."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Adds the preprocessor."""
        md.preprocessors.register(_Unmark(md), "untested", 100)


def makeExtension(**settings: Any) -> Untested:
    """What Markdown calls to load the extension."""
    return Untested(**settings)
