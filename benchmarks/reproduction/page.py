"""The experiments as a page: curves with the report's values, grids, scores beside their floors."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from benchmarks.reproduction.found import Found
from benchmarks.reproduction.table import SHOWN, machine, number, whole
from benchmarks.results import EPOCH
from fish_jax.comparison.report import document, samples, thumbnails
from fish_jax.comparison.report import svg as charts
from fish_jax.comparison.report.curves import EQUILIBRIUM, SIDES
from fish_jax.comparison.report.document import Figure
from fish_jax.comparison.report.plots import plot
from fish_jax.comparison.report.svg import WIDTH, Box, Line
from fish_jax.comparison.report.thumbnails import Attributes
from fish_jax.comparison.results import RANKED_BY
from fish_jax.evaluation.scores import SCORES
from fish_jax.utils import pictures
from fish_jax.utils.pictures import cut

RECIPE = "flat"
# What is drawn of a run: a metric, its title and its colour.
METRICS = (
    *((name, f"{title}'s loss", title.lower()) for name, title in SIDES.items()),
    *((name, title, "other") for name, title in EQUILIBRIUM.items()),
)

fill = functools.partial(document.fill, folder=Path(__file__).with_name("templates"))


def render(found: Sequence[Found]) -> str:
    """Writes a page of all experiments.

    Args:
      found: those that came to their end.

    Returns:
      HTML, the pictures in it.
    """
    pictures = sum(len(each.grids()) + 1 for each in found)
    budget = samples.BYTES // max(1, pictures)
    sections = [("scores", "All experiments", _overview(found))]
    sections += [(each.name, each.report.title, _experiment(each, budget)) for each in found]
    sections.append(("protocol", "Protocol", _protocol(found)))
    return document.document(
        "This Fish Does Not Exist, trained again",
        "Reproduction of a report of 2020",
        verdict(found),
        _findings(found),
        sections,
    )


def verdict(found: Sequence[Found]) -> str:
    """Which experiment of the report's is the best, and how the recipe compares."""
    judged = [each for each in found if each.kept and each.report.clean]
    own = [each for each in judged if each.name != RECIPE]
    if not own:
        return "No experiment of the report's was judged."
    distance = lambda each: each.score(RANKED_BY)[0]
    first = min(own, key=distance)
    title, floor = SCORES[RANKED_BY].title, first.score(RANKED_BY)[1]
    text = f"Of the report's, {first.report.title} comes nearest to the images, by a {title} of "
    text += f"{number(distance(first))} (other images: {number(floor)})"
    recipe = [each for each in judged if each.name == RECIPE]
    if recipe:
        share = distance(recipe[0]) / distance(first)
        text += f"; the recipe has {number(distance(recipe[0]))}, {share:.2f} of it"
    return text + ". One run of each: an anecdote."


def _findings(found: Sequence[Found]) -> Markup:
    """What the runs' own health reports say."""
    items = [
        (each.report.title, finding.name, finding.text)
        for each in found
        for finding in each.findings()
    ]
    return document.findings(items, "Look at these", "There are no findings.")


def _overview(found: Sequence[Found]) -> Markup:
    """Speeds and scores of all experiments."""
    titles = ["", "epochs", "s an epoch", "images/s", "GFLOP/s", "the report's images/s"]
    titles += [SCORES[name].title for name in SHOWN]
    return fill("overview.html", images=EPOCH, titles=titles, rows=list(map(_row, found)))


def _row(each: Found) -> dict[str, str | list[str] | list[tuple[str, str]]]:
    """A row of the table of all experiments."""
    cells = [f"{each.epoch} of {each.report.epochs}"]
    cells += [number(each.facts["images"] / each.rate), number(each.rate), whole(each.gflops)]
    cells.append(whole(each.report.rate) if each.report.rate else "–")
    scores = [(number(value), number(floor)) for value, floor in map(each.score, SHOWN)]
    return {"name": each.name, "title": each.report.title, "cells": cells, "scores": scores}


def _experiment(each: Found, budget: int) -> Markup:
    """The section of an experiment; its pictures have about `budget` bytes each."""
    facts, report = each.facts, each.report
    words = f"{each.epoch} of {report.epochs} epochs of {facts['images']:,} images, "
    words += f"{each.config['height']} x {each.config['width']} pixels"
    if facts["diverged"] is not None:
        words += f"; diverged at step {facts['diverged']:,}"
    words += f". The report: {report.result}." if report.result else "."
    caption = f"{report.title}: seeds 0 to 15"
    if report.grids:
        caption += f"; the report shows epochs {', '.join(map(str, report.grids))}"
    return fill(
        "experiment.html",
        title=report.title,
        words=words,
        figures=[
            Figure(title, chart=_curve(each, metric, title, side))
            for metric, title, side in METRICS
            if metric in each.means
        ],
        readings=_readings(each),
        caption=caption,
        grids={epoch: _picture(each, epoch, path, budget) for epoch, path in each.grids().items()},
        autoencoder=_autoencoder(each, budget),
        scores=_scores(each),
    )


def _curve(each: Found, metric: str, title: str, side: str) -> Markup:
    """Means over the epochs, and the report's values as diamonds."""
    xs, ys = each.means["epoch"].tolist(), each.means[metric].tolist()
    lines = [Line("ours", "ours", xs, ys, side)]
    read = each.readings(metric)
    if read:
        lines.append(Line("report", "report", *zip(*read), f"read {side}", shape=3))
    tall = 150
    box = Box(46, 10, WIDTH - 46 - 52, tall)
    chart = plot(box, lines, across="epochs")
    values = "; ".join(f"{y:g} after epoch {x}" for x, y in read)
    label = f"{title} of {each.report.title}, mean of each epoch, at the end {ys[-1]:.3g}"
    label += f"; the report's: {values}" if read else ""
    return charts.picture(WIDTH, tall + 46, label, chart)


def _readings(each: Found) -> list[tuple[str, str, list[str]]]:
    """The report's values beside ours."""
    return [
        (f"{title}, epoch {epoch}", "", [f"{theirs:g}", number(each.at(metric, epoch))])
        for metric, title, _ in METRICS
        for epoch, theirs in each.readings(metric)
    ]


def _picture(each: Found, epoch: int, path: Path, budget: int) -> Attributes:
    """Sixteen latents after an epoch; the same after each that is shown."""
    rows = pictures.PREVIEW_ROWS
    with Image.open(path) as file:
        images = cut(np.asarray(file.convert("RGB")), pictures.PREVIEW_COUNT // rows, rows)
    sheet = thumbnails.arrange(images, wide=False)
    alt = f"Sixteen samples of {each.report.title} after epoch {epoch}"
    own = {"loss": each.report.title, "seed": "0 to 15", "epoch": epoch}
    return thumbnails.attributes(sheet, images.shape[2], budget, alt, own)


def _autoencoder(each: Found, budget: int) -> Attributes | None:
    """BEGAN's last sheet of images before and after its autoencoder."""
    paths = sorted((each.folder / "autoencoder").glob("*.png"))
    if not paths:
        return None
    with Image.open(paths[-1]) as file:
        sheet = np.asarray(file.convert("RGBA"))
    alt = "Samples, these after the autoencoder, images trained on, these after it"
    return thumbnails.attributes(sheet, each.config["width"], budget, alt, {}, style="whole")


def _scores(each: Found) -> list[tuple[str, str, list[str]]]:
    """Every score with its interval and floor."""
    rows = []
    for score in each.kept.get("scores", ()):
        if score["name"] in SCORES:
            kind, known = SCORES[score["name"]], score["low"] is not None
            between = f"{number(score['low'])} to {number(score['high'])}" if known else ""
            cells = [number(score["value"]), between, number(score["floor"])]
            rows.append((kind.title, kind.better, cells))
    return rows


def _protocol(found: Sequence[Found]) -> Markup:
    """Where and how experiments were trained and judged."""
    protocols = dict.fromkeys(each.kept["protocol"] for each in found if each.kept)
    return fill("origins.html", notes=[machine(found), *protocols])
