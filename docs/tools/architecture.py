"""Writes the pictures and the table of docs/architecture.md from the code.

    python docs/tools/architecture.py           writes them
    python docs/tools/architecture.py --check   fails if they are not those of the code

The layers come from `LAYERS` in tests/test_layers.py, the imports from the files of fish_jax/, the
names in a run folder from the modules that write them, the functions of a step from fish_jax/gan/.
This needs nothing but Python.
"""

import ast
import itertools
import sys
import textwrap
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fish_jax"
PAGE = ROOT / "docs" / "architecture.md"
PICTURES = ROOT / "docs" / "assets"
WIDTH = 560  # of every picture: small enough for a phone, at the natural size on a desk
CORE = ("losses", "networks", "gan")
ROOMS = {  # in a few words, for the picture and the table
    "errors": "the exceptions that callers may catch",
    "utils": "files, locks, terminal, signals; nothing about GANs",
    "losses": "losses and penalties: functions of scores",
    "networks": "layer tables to Flax modules",
    "data": "image files to uint8 arrays",
    "configs": "the presets",
    "gan": "a config to a model, the state, one training step",
    "config_loader": "finds a preset or a file",
    "runs": "the run folder: checkpoints, logs, samples",
    "evaluation": "scores of images and of runs",
    "training": "the training loop and what it writes",
    "comparison": "many runs under one protocol, and their report",
    "serving": "the export and the web page",
    "cli": "flags, modes, exit codes",
    "__main__": "python -m fish_jax",
}

# Each picture has its own background, so that it is legible wherever it is shown.
STYLE = """
text { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.paper { fill: #ffffff; }
.ink { fill: #1f2328; }
.soft { fill: #59636e; }
.line { stroke: #818b98; fill: none; }
.head { fill: #818b98; }
.band { fill: #f4f6f9; }
.plain { fill: #ffffff; stroke: #b7bfc9; }
.core { fill: #e3f1ff; stroke: #5aa2e8; }
.real { fill: #e5f6e8; stroke: #57b36a; }
.fake { fill: #fdeedd; stroke: #dc9440; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #16181d; }
  .ink { fill: #e8eaed; }
  .soft { fill: #a3acb8; }
  .line { stroke: #8b95a1; }
  .head { fill: #8b95a1; }
  .band { fill: #1f232a; }
  .plain { fill: #262b33; stroke: #59636e; }
  .core { fill: #16324e; stroke: #4b93d8; }
  .real { fill: #17361f; stroke: #4a9f5c; }
  .fake { fill: #402a12; stroke: #c07f33; }
}
"""


class Module:
    """The text of a module, without importing it."""

    def __init__(self, name: str) -> None:
        """Reads a file of the checkout, such as "fish_jax/runs/layout.py"."""
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    def constants(self) -> dict[str, str]:
        """The texts that the module assigns to names of its own, several on a line too."""
        found = {}
        for node in self.tree.body:
            if not isinstance(node, ast.Assign):
                continue
            target, value = node.targets[0], node.value
            several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts) if several else [(target, value)]
            for name, text in pairs:
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[ast.unparse(name)] = text.value
        return found

    def holds(self, text: str) -> str:
        """The text itself, if the module has it."""
        if text not in self.text:
            raise SystemExit(f"{self.name} no longer has {text!r}: mend {Path(__file__).name}")
        return text

    def call(self, name: str) -> str:
        """A function of the module and the names of its arguments, such as "draw(gan, key)"."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return f"{name}({', '.join(each.arg for each in node.args.args)})"
        raise SystemExit(f"{self.name} no longer has {name}: mend {Path(__file__).name}")


class Picture:
    """An SVG that grows downward."""

    def __init__(self, title: str) -> None:
        """Begins an empty picture with a title for those who cannot see it."""
        self.title, self.parts = title, []

    def text(
        self, x: float, y: float, text: str, look: str = "ink", size: int = 14, anchor: str = ""
    ) -> None:
        """Writes a line; `look` names classes of STYLE, `anchor` is "middle" or "end"."""
        extra = f' text-anchor="{anchor}"' if anchor else ""
        extra += ' font-weight="600"' if "strong" in look else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" class="{look}" font-size="{size}"{extra}>'
            f"{escape(text)}</text>"
        )

    def rectangle(
        self, x: float, y: float, width: float, height: float, look: str, radius: int = 6
    ) -> None:
        """Draws a rectangle."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" '
            f'class="{look}"/>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, title: str, words: str, look: str
    ) -> None:
        """Draws a rectangle with a title and, below it, words that wrap; both in the middle."""
        self.rectangle(x, y, width, height, look)
        lines = textwrap.wrap(words, int((width - 12) / 6.3))
        top = y + height / 2 - 8 * len(lines) + 5
        self.text(x + width / 2, top, title, "ink strong", 15, "middle")
        for index, line in enumerate(lines):
            self.text(x + width / 2, top + 18 + 16 * index, line, "soft", 13, "middle")

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draws a line through points, with a head at its end."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(
            f'<path d="M{path}" class="line" stroke-width="1.5" marker-end="url(#head)"/>'
        )

    def write(self, height: float) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
            f'width="{WIDTH}" height="{height:g}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n"
            f"<style>{STYLE}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" class="head"/></marker>'
            "</defs>"
        )
        paper = f'<rect width="{WIDTH}" height="{height:g}" rx="8" class="paper"/>'
        return "\n".join([head, paper, *self.parts, "</svg>"]) + "\n"


def layers() -> list[list[str]]:
    """The packages of each layer, the lowest first."""
    tree = Module("tests/test_layers.py").tree
    value = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    order = list(ROOMS)
    found = [sorted(ast.literal_eval(each), key=order.index) for each in value.elts]
    if sorted(itertools.chain(*found)) != sorted(ROOMS):
        raise SystemExit("ROOMS in docs/tools/architecture.py lacks a package of LAYERS")
    return found


def imports(room: str) -> list[str]:
    """The packages that the files of a package import, in the order of the layers from below."""
    place = PACKAGE / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [PACKAGE / f"{room}.py"]
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found |= {name.split(".")[1] for name in names if name.startswith("fish_jax.")}
    return [name for name in itertools.chain(*layers()) if name in found - {room}]


def draw_layers() -> str:
    """The packages as rooms of a house, a floor for each layer."""
    picture, height, gap, left = Picture("The packages of fish_jax as layers"), 74, 12, 34
    floors = layers()[::-1]
    total = len(floors) * (height + gap) + 78
    picture.text(16, 30, "Packages of fish_jax", "ink strong", 17)
    picture.text(16, 50, "A package imports only packages below it.", "soft", 13)
    bottom = 66 + len(floors) * (height + gap) - gap
    picture.arrow((17, 66), (17, bottom))
    for floor, rooms in enumerate(floors):
        y = 66 + floor * (height + gap)
        width = (WIDTH - left - 16 - gap * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            x = left + place * (width + gap)
            picture.box(x, y, width, height, room, ROOMS[room], "core" if room in CORE else "plain")
    picture.rectangle(left, total - 2, 14, 14, "core", 3)
    picture.text(left + 22, total + 10, "pure functions: open no file, print nothing", "soft", 13)
    return picture.write(total + 28)


def draw_step() -> str:
    """One training step, from random numbers to the state after it."""
    gan = "fish_jax/gan"
    draw = Module(f"{gan}/randomness.py").call("draw")
    gradients = Module(f"{gan}/gradients.py").call("compute_gradients")
    apply = Module(f"{gan}/step.py").call("apply_gradients")
    step = Module(f"{gan}/step.py").call("train_step")
    Module(f"{gan}/step.py").holds("_update_average")

    picture = Picture("One training step")
    one, two, width = 28, 292, 240  # the left edges of two columns
    left, right, wide = one + width / 2, two + width / 2, two + width - one

    def band(top: float, bottom: float, name: str, words: str, share: float = 1) -> None:
        picture.rectangle(12, top, (WIDTH - 24) * share, bottom - top, "band", 8)
        picture.text(28, top + 21, name, "ink code", 12)
        picture.text(28, top + 38, words, "soft", 12)

    def arrows(top: float, bottom: float) -> None:
        picture.arrow((left, top), (left, bottom))
        picture.arrow((right, top), (right, bottom))

    picture.text(16, 30, "One training step", "ink strong", 17)
    picture.text(16, 50, f"{step}: the state before, to the state after", "soft code", 12)
    band(64, 176, draw, "random, by the run's key and the step", 0.5)
    picture.box(one, 112, width, 50, "latents", "[N, 100] by default, and keys", "fake")
    picture.box(two, 112, width, 50, "images", "a batch, uint8 [N, H, W, C]", "real")
    band(190, 660, gradients, "Both gradients are taken at the old parameters.")
    arrows(162, 190)
    picture.box(one, 240, width, 50, "generator G", "draws N images", "fake")
    picture.box(two, 240, width, 50, "scale to [-1, 1]", "mirror some, if asked", "real")
    arrows(290, 314)
    picture.box(
        one,
        316,
        wide,
        66,
        "discriminator D",
        "two passes; augmentation and noise come first",
        "core",
    )
    arrows(382, 406)
    picture.box(one, 408, width, 50, "scores", "of generated images, [N]", "fake")
    picture.box(two, 408, width, 50, "scores", "of real images, [N]", "real")
    arrows(458, 482)
    picture.box(
        one,
        484,
        wide,
        66,
        "loss",
        "two vectors of scores to two numbers; D's penalties are added",
        "core",
    )
    arrows(550, 574)
    picture.box(one, 576, width, 68, "G's gradient", "of G's loss, back through D and G", "fake")
    picture.box(two, 576, width, 68, "D's gradient", "of D's loss, back through D", "real")
    band(674, 786, apply, "Each network follows its own gradient.")
    arrows(644, 674)
    picture.box(one, 722, width, 50, "optimiser of G", "new parameters of G", "fake")
    picture.box(two, 722, width, 50, "optimiser of D", "new parameters of D", "real")
    arrows(772, 806)
    picture.box(
        one, 808, wide, 66, "state after the step",
        "parameters, optimisers, statistics, loss; the EMA of G moves a little", "core",
    )  # fmt: skip
    return picture.write(890)


class Entry(NamedTuple):
    """A file or folder of a run: its name, what it holds, its depth in the tree, its group."""

    name: str
    words: str
    depth: int
    look: str


def run_entries() -> list[Entry]:
    """What stands in the folder of a run, by the names in the code."""
    layout = Module("fish_jax/runs/layout.py").constants()
    writer = Module("fish_jax/training/metrics_writer.py")
    scores = Module("fish_jax/evaluation/scores_file.py").constants()["SCORES_FILE"]
    kept, seen, asked = "core", "real", "fake"
    return [
        Entry(layout["CONFIG"], "every field of the run", 1, kept),
        Entry(f"{layout['CHECKPOINTS']}/", "states, named by their step", 1, kept),
        Entry("12000/", "networks, optimisers, random key", 2, kept),
        Entry("13500/", "the newest: a run resumes here", 2, kept),
        Entry(layout["METRICS"], "the log, a line of JSON each", 1, kept),
        Entry(f"{layout['SAMPLES']}/", "a grid of samples per epoch", 1, seen),
        Entry("000010.png", "the same 16 latents each time", 2, seen),
        Entry(writer.holds("losses.png"), "both losses over the epochs", 1, seen),
        Entry(writer.holds("scores.png"), "scores over the epochs, if evaluated", 1, seen),
        Entry(writer.holds("equilibrium.png"), "BEGAN: k, M_global and the ratio", 1, seen),
        Entry(f"{layout['AUTOENCODER']}/", "BEGAN: images before and after", 1, seen),
        Entry(f"{layout['TENSORBOARD']}/", "the log and pictures for TensorBoard", 1, seen),
        Entry(layout["LOG"], "what the run did, and when", 1, seen),
        Entry(scores, "written by fish-jax evaluate", 1, asked),
        Entry(f"{layout['EXPORT']}/", "written by fish-jax export", 1, asked),
        Entry(layout["LOCK"], "the process that trains here", 1, "plain"),
        Entry(f"{layout['DAMAGED']}/", "checkpoints that cannot be read", 1, "plain"),
    ]


def draw_run_folder() -> str:
    """The folder of a run as a tree."""
    picture, row, indent = Picture("The folder of a run"), 30, 28
    groups = {
        "core": "a run resumes from these",
        "real": "for you to look at",
        "fake": "written by other commands",
        "plain": "kept by the program",
    }
    picture.text(16, 30, "runs/mine/", "ink strong code", 16)
    top, last = 44, {0: 36.0}
    for index, entry in enumerate(entries := run_entries()):
        y = top + index * row + 15
        x = 24 + (entry.depth - 1) * indent
        begin = last[entry.depth - 1]
        picture.parts.append(f'<path d="M{x} {begin:g} V{y:g} H{x + 14}" class="line"/>')
        last[entry.depth] = y + 9
        picture.rectangle(x + 16, y - 9, 18, 18, entry.look, 4 if entry.name[-1] == "/" else 9)
        picture.text(x + 42, y + 5, entry.name, "ink code", 14)
        picture.text(258, y + 5, entry.words, "soft", 14)
    y = top + len(entries) * row + 18
    for index, (look, words) in enumerate(groups.items()):
        x, below = 24 + 258 * (index % 2), y + 24 * (index // 2)
        picture.rectangle(x, below, 14, 14, look, 3)
        picture.text(x + 22, below + 12, words, "soft", 13)
    return picture.write(y + 54)


def rooms_table() -> str:
    """The packages, what they hold and what they import, the highest layer first."""
    lines = ["| layer | package | what it holds | imports |", "|--:|---|---|---|"]
    for floor, rooms in reversed(list(enumerate(layers(), start=1))):
        for room in rooms:
            others = ", ".join(f"`{name}`" for name in imports(room)) or "nothing"
            lines.append(f"| {floor} | `{room}` | {ROOMS[room]} | {others} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The text of the page with a fresh table."""
    begin, end = "<!-- packages: docs/tools/architecture.py writes this -->", "<!-- end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{rooms_table()}\n\n{end}{rest.split(end)[1]}"


def files() -> dict[Path, str]:
    """All that this script writes: the text of each file."""
    return {
        PICTURES / "layers.svg": draw_layers(),
        PICTURES / "step.svg": draw_step(),
        PICTURES / "run-folder.svg": draw_run_folder(),
        PAGE: page(PAGE.read_text(encoding="utf-8")),
    }


def main() -> None:
    """Writes the files, or checks them."""
    for path, text in files().items():
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            name = path.relative_to(ROOT)
            sys.exit(f"{name} is out of date; run: python docs/tools/architecture.py")


if __name__ == "__main__":
    main()
