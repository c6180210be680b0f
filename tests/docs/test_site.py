"""The site: tables and pictures are those of the code, nothing comes from other hosts."""

import importlib
import itertools
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.scripts import tool

import fish_jax
from fish_jax.configs import default

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def fields():
    return tool("fields")


@pytest.fixture(scope="module")
def architecture():
    return tool("architecture")


@pytest.fixture(scope="module")
def check_site():
    return tool("check_site")


def test_tables_of_the_configuration_are_fresh(fields):
    text = fields.PAGE.read_text()
    assert fields.page(text) == text, "run: python docs/tools/fields.py"


def test_every_field_is_in_the_tables_with_its_default(fields):
    shown = {each.name: each.default for _, rows in fields.sections().values() for each in rows}
    config = default.get_config()
    values = {}
    for name, value in config.items():
        section = value.items() if hasattr(value, "items") else None
        values |= {f"{name}.{key}": each for key, each in section} if section else {name: value}
    values = {
        name: value
        for name, value in values.items()
        if not name.startswith("discriminator.") or name == "discriminator.decoder"
    }
    assert shown.keys() == values.keys()
    for name, value in values.items():
        assert ast_value(shown[name]) == value, name


def test_every_field_has_a_meaning(fields):
    rows = [each for _, rows in fields.sections().values() for each in rows]
    assert {each.name for each in rows if not each.meaning} == set(fields.PLAIN)


def ast_value(text: str) -> object:
    """The value of a default as the table writes it."""
    return eval(text, {})  # text of configs/default.py


def test_comments_become_meanings(fields):
    source = (
        "def get_config():\n"
        "    config.a, config.b.c = 1, (2, 3)  # pixels\n"
        '    config.d = "e"  # a word, or "f"\n'
        "    # and more\n"
        "    # here\n"
        "    config.g = 0\n"
    )
    assert [tuple(each) for each in fields.assigned(source, "get_config")] == [
        ("a", "1", "pixels"),
        ("b.c", "(2, 3)", "pixels"),
        ("d", '"e"', 'a word, or "f" and more here'),
        ("g", "0", ""),
    ]
    assert fields.sentence('a word, or "f"') == 'A word, or `"f"`'
    assert fields.sentence("n: every n steps") == "n: every n steps"
    assert fields.sentence("half-life in images") == "Half-life in images"
    assert fields.sentence("gradient_penalty, r1 and r2") == "gradient_penalty, r1 and r2"


def test_pictures_and_table_of_the_architecture_are_fresh(architecture):
    for path, text in architecture.files().items():
        assert path.read_text() == text, f"{path.name}: run python docs/tools/architecture.py"


def test_pictures_hold_every_package_and_file_of_a_run(architecture):
    layers, folder = architecture.draw_layers(), architecture.draw_run_folder()
    for text in (layers, folder, architecture.draw_step()):
        ElementTree.fromstring(text)
        assert "prefers-color-scheme: dark" in text
    for room in itertools.chain(*architecture.layers()):
        assert f">{room}</text>" in layers
    for name in ("config.json", "metrics.jsonl", "checkpoints/", "log.txt", "scores.json"):
        assert f">{name}</text>" in folder


def test_every_public_function_is_on_a_page_of_the_api():
    pages = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    overview = (DOCS / "api" / "fish_jax.md").read_text()
    for name, module in fish_jax._FUNCTIONS.items():
        path = f"fish_jax.{module}.{name}"
        assert re.search(rf"^::: {re.escape(path)}$", pages, re.M), path
        assert f"[`fish_jax.{name}`][{path}]" in overview


def test_every_name_on_a_page_of_the_api_exists():
    for page in (DOCS / "api").glob("*.md"):
        for path in re.findall(r"^::: (\S+)$", page.read_text(), re.M):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError:
                module, name = path.rsplit(".", 1)
                assert hasattr(importlib.import_module(module), name), path


def navigation(entries: list) -> list[str]:
    """The pages of a part of the navigation."""
    found = []
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += navigation(value) if isinstance(value, list) else [value]
    return found


def test_every_page_is_in_the_navigation_once():
    project = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    hidden = {page for page in pages if page.startswith(tuple(project["exclude_docs"].split()))}
    assert sorted(navigation(project["nav"])) == sorted(pages - hidden)


def test_the_theme_loads_no_fonts():
    theme = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["theme"]
    assert theme["font"] is False


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://a.example/x.js"></script>',
        '<link rel="stylesheet" href="//a.example/x.css">',
        '<link rel="preconnect" href="https://a.example" crossorigin>',
        '<img src="a.png" srcset="b.png 1x, https://a.example/c.png 2x">',
        '<p style="background: url(https://a.example/x.png)">',
        "<style>@import 'https://a.example/x.css';</style>",
        '<pre class="mermaid">graph</pre>',
        '<iframe src="https://a.example/"></iframe>',
    ],
)
def test_what_a_page_loads_from_other_hosts_is_found(text, tmp_path, check_site):
    page = tmp_path / "a.html"
    page.write_text(f"<html><body>{text}</body></html>")
    assert check_site.loaded(page)


def test_links_and_own_files_are_no_loads(tmp_path, check_site):
    page, style = tmp_path / "a.html", tmp_path / "a.css"
    page.write_text(
        '<a href="https://a.example/">a</a><script src="x.js"></script><img src="b.png">'
        '<link rel="canonical" href="https://a.example/"><code>url(https://a.example)</code>'
    )
    style.write_text("a { background: url('b.png') } /* https://a.example/ */")
    assert not check_site.loaded(page) + check_site.loaded(style)
    style.write_text("@font-face { src: url(https://a.example/b.woff2) }")
    assert check_site.loaded(style)


def test_a_mark_for_tests_is_no_language():
    markdown = pytest.importorskip("markdown")
    text = "```python notest\na = 1\n```\n"
    html = markdown.markdown(text, extensions=["fenced_code", tool("untested").makeExtension()])
    assert '<code class="language-python">a = 1' in html
