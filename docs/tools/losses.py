"""Draws each loss of `fish_jax.losses` and its slope, for docs/losses.md.

    python docs/tools/losses.py          writes docs/pictures/loss-NAME.svg

The curves are computed from the code: one real and one generated image, of which one score changes
and the other stays 0.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fish_jax.configs import default  # noqa: E402
from fish_jax.losses import LOSSES, Targets  # noqa: E402

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
K = 0.5  # BEGAN's k in the picture; a run begins with 0
INK, GRID, FAINT = "#333333", "#dddddd", "#888888"
STYLE = {
    "svg.hashsalt": "fish_jax",  # the same file each time
    "svg.fonttype": "none",  # text stays text, in a third of the size
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# One picture for losses that are the same function of one real and one generated image.
SHAPES = {
    "bce": ("bce",),
    "minimax": ("minimax",),
    "lsgan": ("lsgan",),
    "hinge": ("hinge",),
    "wgan": ("wgan",),
    "relativistic-bce": ("rpgan", "rabce"),
    "relativistic-lsgan": ("rplsgan", "ralsgan"),
    "relativistic-hinge": ("rphinge", "rahinge"),
    "ebgan": ("ebgan",),
    "began": ("began",),
}


class Curve(NamedTuple):
    """What one network minimises as one score changes: a label, the style of its line."""

    label: str
    style: dict[str, Any]
    function: Callable[[jax.Array], jax.Array]


def curves(name: str) -> list[Curve]:
    """The curves of a loss; `function` maps a score, a scalar, to the loss."""
    entry, targets = LOSSES[name], Targets()
    objective = entry.make(default.get_config().loss)
    state: dict[str, Any] = objective.init()
    state |= {"k": K} if "k" in state else {}
    other = jnp.zeros(1)

    def of_real(score: jax.Array) -> jax.Array:
        return objective.apply(score[None], other, state, targets)[0].discriminator

    def of_fake(score: jax.Array) -> jax.Array:
        return objective.apply(other, score[None], state, targets)[0].discriminator

    def of_g(score: jax.Array) -> jax.Array:
        return objective.apply(other, score[None], state, targets)[0].generator

    return [
        Curve("D, real image", dict(color="#56b4e9", lw=4), of_real),
        Curve("D, generated image", dict(color="#d55e00", lw=2), of_fake),
        Curve("G, generated image", dict(color="#222222", lw=1.5, ls="--"), of_g),
    ]


def values(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores [N], losses [3, N] and their slopes [3, N] of a loss."""
    low, high = (0.0, 2.0) if LOSSES[name].energy else (-4.0, 4.0)
    scores = jnp.linspace(low, high, 81)
    functions = [curve.function for curve in curves(name)]
    lost = np.stack([np.asarray(jax.vmap(f)(scores)) for f in functions])
    slopes = np.stack([np.asarray(jax.vmap(jax.grad(f))(scores)) for f in functions])
    return np.asarray(scores), lost, slopes


def draw(name: str, path: Path) -> None:
    """Draws a loss of one real and one generated image, and its slope, as SVG."""
    scores, lost, slopes = values(name)
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(1, 2, figsize=(7.2, 2.7), layout="constrained")
        for axis, numbers, title in zip(axes, (lost, slopes), ("loss", "slope of the loss")):
            for curve, line in zip(curves(name), numbers):
                axis.plot(scores, line, label=curve.label, **curve.style)
            axis.axhline(0, color=FAINT, lw=0.6, zorder=0)
            axis.grid(color=GRID, lw=0.5)
            axis.set_title(title, fontsize=10, loc="left")
            what = "energy" if LOSSES[name].energy else "score"
            axis.set_xlabel(f"{what} of the image")
        most = np.max(np.abs(slopes)) * 1.15
        axes[1].set_ylim(-most, most)
        axes[0].set_ylim(*(np.clip(axes[0].get_ylim(), -5.5, 9)))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def main(folder: Path = PICTURES) -> list[Path]:
    """Draws all losses; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shape, names in SHAPES.items():
        paths.append(folder / f"loss-{shape}.svg")
        draw(names[0], paths[-1])
    return paths


if __name__ == "__main__":
    for path in main():
        print(path.relative_to(ROOT))
