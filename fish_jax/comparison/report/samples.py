"""Pictures of the page of a comparison: samples of every run, small enough to be in the page."""

import base64
import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.comparison.report.curves import ranked
from fish_jax.comparison.report.plots import key
from fish_jax.comparison.results import Comparison, Outcome
from fish_jax.utils.pictures import cut

SHOWN = 8  # images of a mark, of the 32 that its grid has
SHEET = (8, 4)  # columns and rows of the grid
BYTES = 5_500_000  # of all pictures of a page, about; as text they take a third more
TINY = 100  # images of no more pixels in width are kept as they are, and enlarged by the browser

# Widths of an image in pixels and qualities of WebP; the first that is small enough is taken.
LADDER = ((320, 82), (260, 80), (220, 76), (180, 72), (150, 66), (120, 55), (90, 40))


def grids(comparison: Comparison, seed: int) -> str:
    """A table of samples of a seed, a column for each of those compared.

    A row is an epoch, or where they were judged after different ones a share of a run's epochs.
    """
    runs = {o.loss: o for o in comparison.outcomes if o.seed == seed}
    losses = [loss for loss in ranked(comparison) if loss in runs]
    budget = BYTES // max(1, sum(len(o.marks) for o in comparison.outcomes))
    order = comparison.losses.index
    heads = "".join(f'<th scope="col">{key(order(x), x)}</th>' for x in losses)
    rows = []
    for head, at in _rows(comparison, runs):
        cells = "".join(_cell(comparison, runs[x], at.get(x, 0), budget) for x in losses)
        rows.append(f'<tr><th scope="row">{head}</th>{cells}</tr>')
    caption = f"<caption>The first {SHOWN} latents, seed {seed}</caption>"
    few = " few" if len(losses) < 3 else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Samples, seed {seed}">'
        f'<table class="grids{few}" style="--columns:{len(losses)}">{caption}'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def epochs(comparison: Comparison) -> list[int]:
    """After which runs were judged, or should have been."""
    judged = {mark.epoch for o in comparison.outcomes for mark in o.marks}
    return sorted(judged.union(*(o.planned for o in comparison.outcomes)))


def differ(comparison: Comparison) -> bool:
    """Whether runs were to be judged after different epochs, as those of configurations may."""
    return len({tuple(o.planned) for o in comparison.outcomes if o.planned}) > 1


def _rows(
    comparison: Comparison, runs: Mapping[str, Outcome]
) -> list[tuple[str, Mapping[str, int]]]:
    """The heads of the rows, and in each the epoch of every run that was to be judged then."""
    if not differ(comparison):
        return [(f"epoch {epoch}", dict.fromkeys(runs, epoch)) for epoch in epochs(comparison)]
    shares: dict[Fraction, dict[str, int]] = {}
    for name, outcome in runs.items():
        for place, epoch in enumerate(outcome.planned, 1):
            shares.setdefault(Fraction(place, len(outcome.planned)), {})[name] = epoch
    head = lambda share: f"about {100 * float(share):.0f} %" if share < 1 else "the end"
    return [(head(share), shares[share]) for share in sorted(shares)]


def _cell(comparison: Comparison, outcome: Outcome, epoch: int, budget: int) -> str:
    """A run's samples after an epoch; 0: it was not to be judged then."""
    if not epoch:
        return "<td></td>"
    marks = {mark.epoch: mark for mark in outcome.marks}
    if epoch not in marks:
        lost = outcome.diverged is not None
        words = f"× diverged at step {outcome.diverged:,}" if lost else "not judged"
        return f'<td class="gone">{words}</td>'
    run = Path(comparison.folder) / "runs" / f"{outcome.loss}-{outcome.seed}"
    try:
        with Image.open(run / f"mark-{epoch:06d}.png") as file:
            images = cut(np.asarray(file.convert("RGB")), *SHEET)[:SHOWN]
    except (OSError, ValueError):
        return '<td class="gone">its picture is lost</td>'
    sheet = arrange(images, wide=len(comparison.losses) < 3)
    tiny = images.shape[2] <= TINY
    data = encode(sheet, images.shape[2], budget)
    alt = f"{SHOWN} samples of {outcome.loss}, seed {outcome.seed}, after epoch {epoch}"
    size = f'width="{sheet.shape[1]}" height="{sheet.shape[0]}"'
    own = f'data-loss="{escape(outcome.loss)}" data-seed="{outcome.seed}" data-epoch="{epoch}"'
    style = ' class="tiny"' if tiny else ""
    picture = f'<img{style} src="{data}" alt="{escape(alt)}" {size} {own} decoding="async">'
    told = f"after epoch {epoch}, {marks[epoch].images:,} images seen"
    below = f'<p class="small">{told}</p>' if differ(comparison) else ""
    return f"<td>{picture}{below}</td>"


def arrange(images: np.ndarray, wide: bool) -> np.ndarray:
    """Images side by side and below one another, with nothing between them.

    Args:
      images: uint8 [N, H, W, 3].
      wide: whether the whole may be four times as wide as high, or should be about a square.

    Returns:
      uint8 [height, width, 4]; the last channel is 0 between images.
    """
    count, height, width, _ = images.shape
    wish = 4 if wide else 1.2
    fits = [n for n in range(1, count + 1) if count % n == 0]
    ratio = lambda columns: columns * width / (count // columns * height) / wish
    columns = min(fits, key=lambda n: max(ratio(n), 1 / ratio(n)))
    gap = max(1, height // 35)
    rows = count // columns
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 4)
    sheet = np.zeros(shape, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = np.dstack(
            [image, np.full((height, width), 255, np.uint8)]
        )
    return sheet


def encode(sheet: np.ndarray, width: int, budget: int) -> str:
    """A picture as a data URI of WebP.

    Args:
      sheet: uint8 [H, W, 4].
      width: of one image on it, in pixels.
      budget: bytes that it may take, about: the smallest of `LADDER` is taken if none does.

    Returns:
      The URI.
    """
    picture, data = Image.fromarray(sheet), b""
    if width <= TINY:
        data = _webp(picture, lossless=True)
    for step, quality in LADDER:
        if data and len(data) <= budget:
            break
        factor = min(1.0, step / width)
        size = [max(1, round(side * factor)) for side in picture.size]
        small = picture.resize(size, Image.Resampling.LANCZOS) if factor < 1 else picture
        data = _webp(small, quality=quality)
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def _webp(picture: Image.Image, **options: int | bool) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", method=2, **options)
    return file.getvalue()


def choice(comparison: Comparison, name: str, contents: Sequence[str]) -> str:
    """Contents of which one is shown, a button for each seed; needs no script."""
    if len(contents) == 1:
        return contents[0]
    parts = []
    for place, seed in enumerate(comparison.seeds):
        checked = " checked" if place == 0 else ""
        own = f'id="{name}-{place}" name="{name}" value="{place}"'
        parts.append(f'<input type="radio" {own}{checked}>')
        parts.append(f'<label for="{name}-{place}">seed {seed}</label>')
    for place, content in enumerate(contents):
        parts.append(f'<div class="chosen chosen-{place}">{content}</div>')
    shown = ",".join(f"#{name}-{place}:checked~.chosen-{place}" for place in range(len(contents)))
    return f'<style>{shown}{{display:block}}</style><div class="choice">{"".join(parts)}</div>'
