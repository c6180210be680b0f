"""Pictures of the page of a comparison: samples of every run, small enough to be in the page."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.comparison.report.plots import key
from fish_jax.comparison.report.thumbnails import TINY, arrange, encode
from fish_jax.comparison.results import Outcome, Results
from fish_jax.utils.pictures import cut

SHOWN = 8  # images of a mark, of the 32 that its grid has
SHEET = (8, 4)  # columns and rows of the grid
BYTES = 5_500_000  # of all pictures of a page, about; as text they take a third more


def grids(comparison: Results, seed: int) -> str:
    """A table of samples of a seed, a column for each of those compared.

    A row is an epoch, or where they were judged after different ones a share of a run's epochs.
    """
    runs = {o.loss: o for o in comparison.outcomes if o.seed == seed}
    losses = [loss for loss in comparison.ranked() if loss in runs]
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


def epochs(comparison: Results) -> list[int]:
    """After which runs were judged, or should have been."""
    judged = {mark.epoch for o in comparison.outcomes for mark in o.marks}
    return sorted(judged.union(*(o.planned for o in comparison.outcomes)))


def differ(comparison: Results) -> bool:
    """Whether runs were to be judged after different epochs, as those of configurations may."""
    return len({tuple(o.planned) for o in comparison.outcomes if o.planned}) > 1


def _rows(comparison: Results, runs: Mapping[str, Outcome]) -> list[tuple[str, Mapping[str, int]]]:
    """The heads of the rows, and in each the epoch of every run that was to be judged then."""
    if not differ(comparison):
        return [(f"epoch {epoch}", dict.fromkeys(runs, epoch)) for epoch in epochs(comparison)]
    shares: dict[Fraction, dict[str, int]] = {}
    for name, outcome in runs.items():
        for place, epoch in enumerate(outcome.planned, 1):
            shares.setdefault(Fraction(place, len(outcome.planned)), {})[name] = epoch
    head = lambda share: f"about {100 * float(share):.0f} %" if share < 1 else "the end"
    return [(head(share), shares[share]) for share in sorted(shares)]


def _cell(comparison: Results, outcome: Outcome, epoch: int, budget: int) -> str:
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


def choice(comparison: Results, name: str, contents: Sequence[str]) -> str:
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
