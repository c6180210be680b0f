"""Plots the logged metrics of a run over its epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fish_jax.evaluation.scores import kind_of
from fish_jax.runs.metrics import SCORES
from fish_jax.utils.files import replacing


def epoch_means(lines: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Averages logged metrics over each epoch.

    Args:
      lines: the lines of metrics.jsonl, each a mean over its `steps`. Lines of a damaged file that
        lack `epoch` or `steps` are left out.

    Returns:
      For each metric one number per epoch, the mean over the lines that have the metric, or nan
      where none has; `epoch` holds the epochs' numbers, from 1.
    """
    lines = [line for line in lines if "epoch" in line and line.get("steps", 0) > 0]
    means = {"epoch": np.unique([line["epoch"] for line in lines])}
    places = {epoch: place for place, epoch in enumerate(means["epoch"])}
    for name in dict.fromkeys(name for line in lines for name in line):
        if name in ("epoch", "step", "steps", "images"):
            continue
        sums, counts = np.zeros((2, len(places)))
        for line in lines:
            if name in line:
                place = places[line["epoch"]]
                sums[place] += line["steps"] * line[name]
                counts[place] += line["steps"]
        means[name] = np.divide(sums, counts, out=np.full(len(places), np.nan), where=counts > 0)
    return means


def plot_losses(path: Path, lines: Sequence[Mapping[str, float]], title: str) -> None:
    """Plots the losses of both networks over the epochs."""
    curves = {"discriminator": "d_loss", "generator": "g_loss"}
    _plot(path, lines, [("loss, mean of each epoch", curves)], title)


def plot_equilibrium(path: Path, lines: Sequence[Mapping[str, float]], title: str) -> None:
    """Plots BEGAN's k, M_global and L(G(z)) / L(x) over the epochs."""
    panels = [
        ("k", {"k": "k"}),
        ("M_global", {"M_global": "m_global"}),
        ("L(G(z)) / L(x)", {"ratio": "energy_ratio"}),
    ]
    _plot(path, lines, panels, title)


def plot_scores(
    path: Path,
    lines: Sequence[Mapping[str, float]],
    floors: Mapping[str, float],
    title: str,
) -> None:
    """Plots the scores of a run over its epochs.

    Args:
      path: the path of the picture.
      lines: the lines of metrics.jsonl, those with scores.
      floors: scores of real images by name, drawn as dashed lines; may be empty.
      title: the title of the picture.
    """
    groups = (("sliced_wasserstein",), ("frechet",), ("precision", "recall", "coverage"))
    curves = [{kind_of(name).title: SCORES + name for name in names} for names in groups]
    labels = [next(iter(group)) if len(group) == 1 else "share" for group in curves]
    levels = {SCORES + name: floor for name, floor in floors.items()}
    note = "; dashed: real images" if floors else ""
    _plot(path, lines, list(zip(labels, curves)), title + note, levels)


def _plot(
    path: Path,
    lines: Sequence[Mapping[str, float]],
    panels: Sequence[tuple[str, Mapping[str, str]]],
    title: str,
    levels: Mapping[str, float] = MappingProxyType({}),
) -> None:
    from matplotlib.figure import Figure  # slow to import, and rarely needed

    means = epoch_means(lines)
    figure = Figure(figsize=(8, 1.2 + 2.8 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axis, (label, curves) in zip(axes, panels):
        for name, key in curves.items():
            values = means.get(key, np.full(len(means["epoch"]), np.nan))
            marker = "." if len(values) < 30 else ""
            (curve,) = axis.plot(means["epoch"], values, marker=marker, label=name)
            if key in levels:
                axis.axhline(levels[key], color=curve.get_color(), linestyle="--", linewidth=1)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend()
    axes[0].set_title(title, parse_math=False)  # a config's name may have dollars
    axes[-1].set_xlabel("epoch")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)
