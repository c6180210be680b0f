"""Writes the tables of docs/configuration.md from configs/.

    python docs/tools/fields.py           rewrites them
    python docs/tools/fields.py --check   fails if they are not those of configs/

A field's name and default come from the code of configs/default.py, its meaning from the comment
on its line. A preset's meaning is the first line of its docstring.
"""

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
CONFIGS = ROOT / "configs"
HELPERS = ("__init__", "default")  # files of configs/ that are no presets
# A heading for each section of the config; the rest of its text stands in the page.
TITLES = {
    "": "The run",
    "data": "data: the images",
    "latents": "latents: the generator's input",
    "loss": "loss: the loss and what is added to it",
    "average": "average: moving average of the generator's weights",
    "schedule": "schedule: learning rates and penalties over time",
    "optimizer": "optimizer: both optimisers",
    "generator": "generator, discriminator: the layer tables",
}
# The meaning of fields whose line has no comment, as their name says it in code.
PLAIN = {
    "latents.size": "length of a latent",
    "loss.feature_matching_weight": "weight of feature matching in G's loss",
    "optimizer.generator_lr": "learning rate of G",
    "optimizer.discriminator_lr": "learning rate of D",
    "optimizer.b1": "decay rate of Adam's first moment",
    "optimizer.b2": "decay rate of Adam's second moment",
    "optimizer.eps": "number added to the denominator of Adam",
    "generator.layers": "the rows of the table, one for each layer",
    "generator.use_bias": "whether a layer adds a bias",
    "generator.norm_epsilon": "number added to the variance in batch normalisation",
    "generator.activation": 'or "relu", "elu", "tanh", "none"',
}


class Field(NamedTuple):
    """A field of a config: its full name, the text of its default, and its meaning."""

    name: str
    default: str
    meaning: str


def comments(source: str) -> dict[int, str]:
    """The comments of a file by their line; a comment on lines of its own continues the one above.

    A comment that continues ends up at the line where it began.
    """
    found: dict[int, str] = {}
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("# ")
        alone = not token.line[: token.start[1]].strip()
        if alone and last and line == last + 1:
            start = max(key for key in found if key < line)
            found[start] += f" {text}"
        else:
            found[line] = text
        last = line
    return found


def function(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The function of that name in a module."""
    return next(
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    )


def assigned(source: str, name: str) -> list[Field]:
    """What a function assigns to the fields of a config, with the comments beside them.

    Args:
      source: of the module.
      name: of the function.

    Returns:
      A field for each assignment, in their order. One whose default is a call, such as
      `ConfigDict()`, begins a section.
    """
    notes, fields = comments(source), []
    for node in function(ast.parse(source), name).body:
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        pairs = (
            zip(target.elts, value.elts)
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            else [(target, value)]
        )
        for place, default in pairs:
            if isinstance(place, ast.Attribute):
                path = ast.unparse(place).split(".", 1)[1]
                text = ast.get_source_segment(source, default) or ""
                fields.append(Field(path, text, notes.get(node.lineno, "")))
    return fields


def sections() -> dict[str, tuple[str, list[Field]]]:
    """The sections of the config: the comment and the fields of each, by its name."""
    source = (CONFIGS / "default.py").read_text(encoding="utf-8")
    found: dict[str, tuple[str, list[Field]]] = {"": ("", [])}
    for field in assigned(source, "get_config"):
        if field.default == "ConfigDict()":
            found[field.name] = (field.meaning, [])
        elif field.default == "layer_table()":
            fields = found.setdefault("generator", ("", []))[1]
            if field.name == "generator":
                fields += [
                    each._replace(name=f"generator.{each.name}")
                    for each in assigned(source, "layer_table")
                ]
        else:
            section = field.name.split(".")[0] if "." in field.name else ""
            found["generator" if section == "discriminator" else section][1].append(field)
    return found


def sentence(comment: str) -> str:
    """A comment as text of a table: a capital at its start, values as code."""
    text = re.sub(r'"([^"]*)"', lambda match: f'`"{match[1]}"`', comment)
    text = text.replace("|", "\\|")
    word = re.match(r"(a|[a-z]{2,}(-[a-z]+)*)([ ,;]|$)", text)  # no symbol, no name of a field
    return text[:1].upper() + text[1:] if word else text


def table(fields: list[Field]) -> str:
    """A Markdown table of fields."""
    lines = ["| field | default | meaning |", "|---|---|---|"]
    for name, default, meaning in fields:
        shown = default.replace("|", "\\|")
        lines.append(f"| `{name}` | `{shown}` | {sentence(meaning or PLAIN.get(name, ''))} |")
    return "\n".join(lines)


def fields_text() -> str:
    """All tables of fields, under a heading each."""
    parts = []
    for name, (meaning, fields) in sections().items():
        parts.append(f"### {TITLES[name]}")
        if meaning:
            parts.append(f"{sentence(meaning).rstrip('.')}.")
        parts.append(table(fields))
    return "\n\n".join(parts)


def presets_text() -> str:
    """The table of presets."""
    lines = ["| preset | what it is |", "|---|---|"]
    for path in sorted(CONFIGS.glob("*.py")):
        if path.stem not in HELPERS:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            lines.append(f"| `{path.stem}` | {text.splitlines()[0]} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The text of the page with fresh tables."""
    for name, fresh in {"presets": presets_text(), "fields": fields_text()}.items():
        begin, end = f"<!-- {name}: docs/tools/fields.py writes this -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{fresh}\n\n{end}{rest.split(end)[1]}"
    return text


def main() -> None:
    """Writes the page, or checks it."""
    text = PAGE.read_text(encoding="utf-8")
    fresh = page(text)
    if "--check" not in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
    elif text != fresh:
        sys.exit(f"{PAGE.relative_to(ROOT)} is out of date; run: python docs/tools/fields.py")


if __name__ == "__main__":
    main()
