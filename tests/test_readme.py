"""What the documents say is there."""

import re
from pathlib import Path

import pytest

import fish_jax

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])
MADE = {"benchmarks/results.json", "benchmarks/growth.json"}  # by `make bench`, `make growth`


def test_every_name_of_the_readme_exists():
    names = set(re.findall(r"fish_jax\.(\w+)", README.read_text()))
    assert len(names) > 8
    assert names <= set(dir(fish_jax))


def test_every_public_name_can_be_imported():
    for name in dir(fish_jax):
        getattr(fish_jax, name)


def paths(text: str) -> set[str]:
    """Paths in a document that begin at the top of the checkout."""
    found = re.findall(r"(?<![\w/.-])((?:fish_jax|tests|configs|docs|benchmarks)/[\w./-]*)", text)
    return {path.rstrip(".") for path in found} - MADE


def targets(text: str) -> set[str]:
    """Targets of make that a document names in code."""
    code = re.findall(r"```.*?```|`[^`]+`|^    [^\n]+", text, re.M | re.S)
    return {name for part in code for name in re.findall(r"\bmake ([a-z-]+)", part)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(path):
    text = path.read_text()
    assert not [name for name in sorted(paths(text)) if not (ROOT / name).exists()]
    rules = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M)
    assert targets(text) <= set(rules)


def test_paths_and_targets_are_found():
    found = paths("see `tests/a_b.py`, [a](docs/c.md). At x/tests/d.py")
    assert found == {"tests/a_b.py", "docs/c.md"}
    assert targets("`make test KILLS=1` make sure\n```\nmake demo  # a\n```") == {"test", "demo"}


def test_examples_of_contributing_are_those_of_the_files():
    """Each part of a diff, added to a file, is in that file."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = re.findall(r"^```diff\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 4
    for diff in "".join(blocks).split("+++ b/")[1:]:
        name, *parts = diff.split("\n@@\n")
        for part in parts:
            added = re.sub(r"^\+", "", part, flags=re.M)
            assert added in (ROOT / name).read_text(), name
