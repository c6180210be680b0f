"""What the documents say is there: paths, targets, links, flags, fields and Python examples."""

import ast
import importlib
import inspect
import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import pytest
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.cli.modes import COMMANDS
from fish_jax.config_loader import load_config
from fish_jax.gan.own import Own

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])
MADE = {"benchmarks/results.json", "benchmarks/growth.json"}  # by `make bench`, `make growth`
OUTSIDE = "notest"  # marks an example that needs a file of the reader's own
MAX_LINES = 120  # of the README


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=_name)


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= MAX_LINES


def test_every_name_of_the_readme_exists():
    names = set(re.findall(r"fish_jax\.(\w+)", README.read_text()))
    assert len(names) > 4
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


@each_document
def test_what_a_document_names_is_there(path):
    text = path.read_text()
    assert not [name for name in sorted(paths(text)) if not (ROOT / name).exists()]
    rules = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M)
    assert targets(text) <= set(rules)


def test_paths_and_targets_are_found():
    found = paths("see `tests/a_b.py`, [a](docs/c.md). At x/tests/d.py")
    assert found == {"tests/a_b.py", "docs/c.md"}
    assert targets("`make test KILLS=1` make sure\n```\nmake demo  # a\n```") == {"test", "demo"}


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a document."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", without_code, re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def broken_links(path: Path) -> list[str]:
    """Links of a document to files or headings that are not there."""
    code = r"^```.*?^```|`[^`\n]+`"
    broken = []
    for link in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(code, "", path.read_text(), flags=re.M | re.S)
    ):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        place = path.parent / file if file else path
        known = anchors(place.read_text()) if place.suffix == ".md" and place.is_file() else set()
        if anchor.startswith("fish_jax."):  # of the API, made from docstrings
            known = {anchor} if check_example(f"import fish_jax\n{anchor}") is None else set()
        if not place.exists() or (anchor and anchor not in known):
            broken.append(link)
    return broken


@each_document
def test_links_lead_somewhere(path):
    assert broken_links(path) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("# One, two\n[](#one-two) [](a.md#one-two) [](b.md) [](#three) `[](c.md)`\n")
    assert broken_links(page) == ["b.md", "#three"]


def examples(text: str, run: bool = False) -> list[str]:
    """Python examples of a document: all, or those that run without a file of the reader's."""
    blocks = re.findall(r"^```(?:python|py)\b *(\w*)[^\n]*\n(.*?)^```$", text, re.M | re.S)
    return [code for mark, code in blocks if not (run and mark == OUTSIDE)]


class Names:
    """What names in an example stand for, as far as they are imported from fish_jax."""

    def __init__(self, tree: ast.AST) -> None:
        self.imported: dict[str, Any] = {"fish_jax": fish_jax}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fish_jax"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = _member(module, alias.name)

    def find(self, node: ast.expr) -> Any:
        """The object of `fish_jax.losses.hinge` and the like; None for anything else."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id)
        owner = self.find(node.value) if isinstance(node, ast.Attribute) else None
        return _member(owner, node.attr) if inspect.ismodule(owner) else None


def _member(module: Any, name: str) -> Any:
    if not hasattr(module, name):
        return importlib.import_module(f"{module.__name__}.{name}")
    return getattr(module, name)


def check_example(code: str) -> None:
    """Checks that code can be parsed, and that what it takes from fish_jax exists.

    Raises:
      AttributeError, ImportError: a name that does not exist.
      TypeError: a call with arguments that the function does not take.
    """
    tree = ast.parse(code)
    names = Names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.find(node)
        function = names.find(node.func) if isinstance(node, ast.Call) else None
        if function is None or any(isinstance(each, ast.Starred) for each in node.args):
            continue
        given = {each.arg: None for each in node.keywords if each.arg}
        signature = inspect.signature(function)
        signature.bind_partial(*node.args, **given)
        takes_any = any(
            each.kind is each.VAR_KEYWORD and each.annotation != Unpack[Own]
            for each in signature.parameters.values()
        )
        unknown = given.keys() - signature.parameters.keys() - Own.__annotations__.keys()
        if unknown and not takes_any:
            raise TypeError(f"{ast.unparse(node.func)} takes no {unknown}")


@each_document
def test_python_examples_name_what_exists(path):
    for code in examples(path.read_text()):
        check_example(code)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import fish_jax\nfish_jax.losses.hinges(1, 2)", ImportError),
        ("import fish_jax\nfish_jax.sample('a', range(3), avraged=True)", TypeError),
        ("import fish_jax\nfish_jax.train(1, 'a', losss=None)", TypeError),
        ("from fish_jax.losses import Lossess", ImportError),
        ("from fish_jax.runs.sampling import load as f\nf('a', 1, 2, 3, 4)", TypeError),
    ],
)
def test_mistakes_in_examples_are_found(code, error):
    with pytest.raises(error):
        check_example(code)


def commands(text: str) -> Iterator[list[str]]:
    """Words of each command line of fish-jax in a document's code."""
    blocks = re.findall(r"^```(?:bash|sh|console|text)?\n(.*?)^```$", text, re.M | re.S)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if "fish-jax" in line else []
            if "fish-jax" in words[:3] and not line.startswith("pip"):
                yield words[words.index("fish-jax") + 1 :]


def fields(text: str) -> set[str]:
    """Fields of a config that a document sets by flags: `data.path`, `generator.layers`."""
    return {name.rstrip(".") for name in re.findall(r"--config\.([a-z_][\w.]*)", text)} - {"FIELD"}


def check_command(words: list[str]) -> None:
    """Raises AssertionError unless the mode, its flags and the preset exist."""
    mode = words[0] if words and not words[0].startswith("-") else "train"
    assert mode in COMMANDS
    for word in words[words[:1] == [mode] :]:
        name, _, value = word.removeprefix("--").partition("=")
        known = {*COMMANDS[mode].flags, "mode", "help"}
        in_config = name.startswith("config.") and "config" in known
        assert word.startswith("--") and (in_config or name in known or name[2:] in known), word
        if name == "config" and not value.endswith(".py") and value != "NAME:demo":
            load_config(*value.split(":"))


@each_document
def test_commands_have_flags_that_exist(path):
    for words in commands(path.read_text()):
        check_command(words)


@each_document
def test_flags_set_fields_that_exist(path):
    config = load_config("compare")
    for name in fields(path.read_text()):
        value = config
        for part in name.split("."):
            assert part in value, name
            value = value[part]


def test_commands_and_fields_are_found():
    text = (
        "`--config.data.fit=crop`\n```\nX=1 fish-jax walk --seeds=1 \\\n  --out=a  # b\nls\n```\n"
    )
    assert list(commands(text)) == [["walk", "--seeds=1", "--out=a"]]
    assert fields(text) == {"data.fit"}
    for words in (["wlak"], ["walk", "--size=1"], ["sample", "--config=best"], ["--lr=1"]):
        with pytest.raises(AssertionError):
            check_command(words)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """An empty folder, where presets have their sizes and few filters."""

    def load(name, variant=""):
        config = tiny_config(name, variant)
        config.height, config.width = (28, 64) if variant == "demo" else (140, 320)
        config.data.update(cache=str(tmp_path / "cache"), count=160)
        config.batch_size, config.epochs = 16, config.epochs and 1
        return config

    monkeypatch.setattr(fish_jax, "load_config", load, raising=False)
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger("fish_jax").handlers)
    yield
    logging.getLogger("fish_jax").handlers = handlers


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if examples(path.read_text(), run=True)], ids=_name
)
def test_python_examples_run(path, small):
    """Those of a document, one after the other; tests/wheel runs some at full size."""
    code = "\n".join(examples(path.read_text(), run=True))
    exec(compile(code, _name(path), "exec"), {"__name__": "example"})


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
