"""Samples of the runs of a comparison, small enough to be inside its report."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.comparison.report import thumbnails
from fish_jax.comparison.results import Outcome, Results
from fish_jax.utils.pictures import cut

SHOWN = 8  # images of a mark, of the 32 that its grid has
SHEET = (8, 4)  # columns and rows of the grid
BYTES = 5_500_000  # of all pictures of a report, about; as text they take a third more

# Of a table of samples: attributes of the HTML image, if there is one, and words below it.
Cell = tuple[thumbnails.Attributes | None, str]


def grid(comparison: Results, seed: int) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """Gathers the samples of a seed, a column for each loss or configuration.

    A row is an epoch, or a share of a run's epochs where runs were judged after different ones.

    Returns:
      The loss or configuration of each column; the head and the cells of each row.
    """
    runs = {o.loss: o for o in comparison.outcomes if o.seed == seed}
    losses = [loss for loss in comparison.ranked() if loss in runs]
    budget = BYTES // max(1, sum(len(o.marks) for o in comparison.outcomes))
    rows = [
        (head, [_cell(comparison, runs[x], at.get(x, 0), budget) for x in losses])
        for head, at in _rows(comparison, runs)
    ]
    return losses, rows


def differ(comparison: Results) -> bool:
    """Whether runs are evaluated after different epochs, as configurations allow."""
    return len({tuple(o.planned) for o in comparison.outcomes if o.planned}) > 1


def _rows(comparison: Results, runs: Mapping[str, Outcome]) -> list[tuple[str, Mapping[str, int]]]:
    """The row headings, and for each row the epoch at which every run was to be evaluated."""
    if not differ(comparison):
        judged = {mark.epoch for o in comparison.outcomes for mark in o.marks}
        epochs = sorted(judged.union(*(o.planned for o in comparison.outcomes)))
        return [(f"epoch {epoch}", dict.fromkeys(runs, epoch)) for epoch in epochs]
    shares: dict[Fraction, dict[str, int]] = {}
    for name, outcome in runs.items():
        for place, epoch in enumerate(outcome.planned, 1):
            shares.setdefault(Fraction(place, len(outcome.planned)), {})[name] = epoch
    head = lambda share: f"about {100 * float(share):.0f} %" if share < 1 else "the end"
    return [(head(share), shares[share]) for share in sorted(shares)]


def _cell(comparison: Results, outcome: Outcome, epoch: int, budget: int) -> Cell:
    """A run's samples after an epoch; epoch 0 means that no evaluation was planned."""
    if not epoch:
        return None, ""
    marks = {mark.epoch: mark for mark in outcome.marks}
    if epoch not in marks:
        lost = outcome.diverged is not None
        return None, f"× diverged at step {outcome.diverged:,}" if lost else "not judged"
    run = Path(comparison.folder) / "runs" / f"{outcome.loss}-{outcome.seed}"
    try:
        with Image.open(run / f"mark-{epoch:06d}.png") as file:
            images = cut(np.asarray(file.convert("RGB")), *SHEET)[:SHOWN]
    except (OSError, ValueError):
        return None, "its picture is missing"
    sheet = thumbnails.arrange(images, wide=len(comparison.losses) < 3)
    alt = f"{SHOWN} samples of {outcome.loss}, seed {outcome.seed}, after epoch {epoch}"
    own = {"loss": outcome.loss, "seed": outcome.seed, "epoch": epoch}
    image = thumbnails.attributes(sheet, images.shape[2], budget, alt, own)
    words = f"after epoch {epoch}, {marks[epoch].images:,} images seen"
    return image, words if differ(comparison) else ""
