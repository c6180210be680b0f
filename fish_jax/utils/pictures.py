"""Pictures of a run: grids of images, and curves of what was logged."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.utils.files import replacing


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Puts images side by side, row by row, with a thin white line between.

    Args:
      images: uint8 [N, H, W, 3].
      columns: images per row; the last row is filled up with white.

    Returns:
      uint8 [rows * H + gaps, columns * W + gaps, 3].
    """
    count, height, width, _ = images.shape
    gap = _gap(height)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def cut(sheet: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Takes images out of a picture that `grid` made.

    Args:
      sheet: uint8 [rows * H + gaps, columns * W + gaps, 3].
      columns, rows: of it.

    Returns:
      uint8 [rows * columns, H, W, 3].

    Raises:
      ValueError: no images of one size fit.
    """
    for gap in range(1, sheet.shape[0]):
        height, beyond = divmod(sheet.shape[0] + gap, rows)
        width, beside = divmod(sheet.shape[1] + gap, columns)
        if not beyond and not beside and min(height, width) > gap == _gap(height - gap):
            places = np.ndindex(rows, columns)
            corners = [(row * height, column * width) for row, column in places]
            return np.stack([sheet[y : y + height - gap, x : x + width - gap] for y, x in corners])
    raise ValueError(f"a picture of {sheet.shape[:2]} is no grid of {rows} x {columns} images")


def _gap(height: int) -> int:
    """Pixels between images of a grid."""
    return max(height // 70, 1)


def to_png(image: np.ndarray, least_width: int = 0) -> bytes:
    """A picture as a file; narrow ones are enlarged by a whole factor.

    Args:
      image: uint8 [H, W, 3].
      least_width: pixels that the picture should be wide, to be seen on a screen.
    """
    factor = max(round(least_width / image.shape[1]), 1)
    file = io.BytesIO()
    Image.fromarray(image.repeat(factor, 0).repeat(factor, 1)).save(file, "PNG")
    return file.getvalue()


def write_png(path: Path, image: np.ndarray, least_width: int = 0) -> None:
    """Writes a picture whole or not at all, as of `to_png`; its folder is made if there is none."""
    content = to_png(image, least_width)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def epoch_means(lines: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Means over epochs of what was logged.

    Args:
      lines: of metrics.jsonl; each a mean over its `steps`. Of a damaged file, those that lack
        what most have do not count.

    Returns:
      By name, one number for each epoch; `epoch` counts them from 1.
    """
    counts = Counter(name for line in lines for name in line)
    names = [name for name in counts if 2 * counts[name] >= len(lines)]
    sound = lambda line: line.keys() >= {"epoch", "steps", *names} and line["steps"] > 0
    lines = [line for line in lines if sound(line)]
    epochs = np.array([line["epoch"] for line in lines])
    weights = np.array([line["steps"] for line in lines], float)
    means = {"epoch": np.unique(epochs)}
    for name in names:
        if name in ("epoch", "step", "steps", "images"):
            continue
        values = np.array([line[name] for line in lines], float)
        means[name] = np.array(
            [np.average(values[epochs == e], weights=weights[epochs == e]) for e in means["epoch"]]
        )
    return means


def plot_losses(path: Path, lines: Sequence[Mapping[str, float]], title: str) -> None:
    """Draws both losses over the epochs."""
    curves = {"discriminator": "d_loss", "generator": "g_loss"}
    _plot(path, lines, [("loss, mean of each epoch", curves)], title)


def plot_equilibrium(path: Path, lines: Sequence[Mapping[str, float]], title: str) -> None:
    """Draws BEGAN's k, M_global and L(G(z)) / L(x) over the epochs."""
    panels = [
        ("k", {"k": "k"}),
        ("M_global", {"M_global": "m_global"}),
        ("L(G(z)) / L(x)", {"ratio": "energy_ratio"}),
    ]
    _plot(path, lines, panels, title)


def _plot(
    path: Path,
    lines: Sequence[Mapping[str, float]],
    panels: Sequence[tuple[str, Mapping[str, str]]],
    title: str,
) -> None:
    from matplotlib.figure import Figure  # slow to import, and seldom needed

    means = epoch_means(lines)
    figure = Figure(figsize=(8, 1.2 + 2.8 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axis, (label, curves) in zip(axes, panels):
        for name, key in curves.items():
            values = means.get(key, np.full(len(means["epoch"]), np.nan))
            axis.plot(means["epoch"], values, marker="." * (len(values) < 30), label=name)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend()
    axes[0].set_title(title, parse_math=False)  # a config's name may have dollars
    axes[-1].set_xlabel("epoch")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)
