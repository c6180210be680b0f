"""The experiments as a page: curves with the report's values, grids, scores beside their floors."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.reproduction.found import Found
from benchmarks.reproduction.table import SHOWN, machine, number, whole
from benchmarks.results import EPOCH
from fish_jax.comparison.report import document, samples, thumbnails
from fish_jax.comparison.report import svg as charts
from fish_jax.comparison.report.curves import EQUILIBRIUM, SIDES, WISH
from fish_jax.comparison.report.plots import figure, plot
from fish_jax.comparison.report.svg import WIDTH, Box, Line
from fish_jax.comparison.results import RANKED_BY
from fish_jax.evaluation.scores import SCORES
from fish_jax.utils import pictures
from fish_jax.utils.pictures import cut

RECIPE = "best"
# What is drawn of a run: a metric, its title and its colour.
METRICS = (
    *((name, f"{title}'s loss", title.lower()) for name, title in SIDES.items()),
    *((name, title, "other") for name, title in EQUILIBRIUM.items()),
)


def render(found: Sequence[Found]) -> str:
    """Draws all experiments.

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


def _findings(found: Sequence[Found]) -> str:
    """What the runs' own health reports say."""
    items = "".join(
        f"<li><strong>{escape(each.report.title)}: {escape(finding.name)}.</strong> "
        f"{escape(finding.text)}</li>"
        for each in found
        for finding in each.findings()
    )
    if not items:
        return '<p class="sound">There are no findings.</p>'
    return f'<div class="findings" role="note"><h2>Look at these</h2><ul>{items}</ul></div>'


def _overview(found: Sequence[Found]) -> str:
    heads = ["epochs", "s an epoch", "images/s", "GFLOP/s", "the report's images/s"]
    heads += [SCORES[name].title for name in SHOWN]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in ("", *heads))
    rows = "".join(_row(each) for each in found)
    return (
        f"<p>The report's epochs had {EPOCH:,} images of 140 x 320 pixels. Below each score is "
        "that of other real images.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="All experiments">'
        '<table class="scores"><caption class="hidden">Speeds and scores</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(each: Found) -> str:
    cells = [f"{each.epoch} of {each.report.epochs}"]
    cells += [number(each.facts["images"] / each.rate), number(each.rate), whole(each.gflops)]
    cells.append(whole(each.report.rate) if each.report.rate else "–")
    cells += [_scored(*each.score(name)) for name in SHOWN]
    link = f'<a href="#{each.name}">{escape(each.report.title)}</a>'
    return f'<tr><th scope="row">{link}</th>{"".join(f"<td>{x}</td>" for x in cells)}</tr>'


def _scored(value: float, floor: float) -> str:
    return f'{number(value) or "–"}<span class="interval">{number(floor)}</span>'


def _experiment(each: Found, budget: int) -> str:
    facts, report = each.facts, each.report
    told = f"{each.epoch} of {report.epochs} epochs of {facts['images']:,} images, "
    told += f"{each.config['height']} x {each.config['width']} pixels"
    if facts["diverged"] is not None:
        told += f"; diverged at step {facts['diverged']:,}"
    said = f" The report: {report.result}." if report.result else ""
    figures = [
        figure(title, "", _curve(each, metric, title, side))
        for metric, title, side in METRICS
        if metric in each.means
    ]
    parts = [f"<p>{told}.{escape(said)}</p>", f'<div class="figures">{"".join(figures)}</div>']
    parts += [_readings(each), _grids(each, budget), _autoencoder(each, budget), _scores(each)]
    return "".join(parts)


def _curve(each: Found, metric: str, title: str, side: str) -> str:
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


def _readings(each: Found) -> str:
    """The report's values beside ours."""
    rows = "".join(
        f'<tr><th scope="row">{title}, epoch {epoch}</th><td>{theirs:g}</td>'
        f"<td>{number(each.at(metric, epoch))}</td></tr>"
        for metric, title, _ in METRICS
        for epoch, theirs in each.readings(metric)
    )
    if not rows:
        return ""
    head = '<tr><th scope="col"></th><th scope="col">the report</th><th scope="col">ours</th></tr>'
    return _table(f"{each.report.title}: the report's values beside ours", head, rows)


def _table(caption: str, head: str, rows: str) -> str:
    caption = escape(caption)
    return (
        f'<div class="scroll snug" tabindex="0" role="region" aria-label="{caption}">'
        f'<table class="scores"><caption class="hidden">{caption}</caption>'
        f"<thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )


def _grids(each: Found, budget: int) -> str:
    """The same sixteen latents after the epochs that the report shows, and at the end."""
    grids = each.grids()
    heads = "".join(f'<th scope="col">epoch {epoch}</th>' for epoch in grids)
    cells = "".join(f"<td>{_picture(each, *grid, budget)}</td>" for grid in grids.items())
    if not cells:
        return ""
    caption = f"{each.report.title}: seeds 0 to 15"
    if each.report.grids:
        caption += f"; the report shows epochs {', '.join(map(str, each.report.grids))}"
    caption = escape(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<table class="grids few" style="--head:0rem;--columns:{len(grids)}">'
        f"<caption>{caption}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table></div>"
    )


def _picture(each: Found, epoch: int, path: Path, budget: int) -> str:
    rows = pictures.PREVIEW_ROWS
    with Image.open(path) as file:
        images = cut(np.asarray(file.convert("RGB")), pictures.PREVIEW_COUNT // rows, rows)
    sheet = thumbnails.arrange(images, wide=False)
    own = f'data-loss="{escape(each.report.title)}" data-seed="0 to 15" data-epoch="{epoch}"'
    alt = f"Sixteen samples of {each.report.title} after epoch {epoch}"
    return _image(sheet, images.shape[2], alt, own, budget)


def _image(sheet: np.ndarray, width: int, alt: str, own: str, budget: int, style: str = "") -> str:
    classes = f' class="{style}{" tiny" * (width <= thumbnails.TINY)}"'
    size = f'width="{sheet.shape[1]}" height="{sheet.shape[0]}"'
    data = thumbnails.encode(sheet, width, budget)
    return f'<img{classes} src="{data}" alt="{escape(alt)}" {size} {own} decoding="async">'


def _autoencoder(each: Found, budget: int) -> str:
    """BEGAN's last sheet of images before and after its autoencoder."""
    paths = sorted((each.folder / "autoencoder").glob("*.png"))
    if not paths:
        return ""
    with Image.open(paths[-1]) as file:
        sheet = np.asarray(file.convert("RGBA"))
    told = "Samples, these after the autoencoder, images trained on, these after it"
    picture = _image(sheet, each.config["width"], told, "", budget, "whole")
    return figure(told, "", picture)


def _scores(each: Found) -> str:
    """Every score with its interval and floor."""
    rows = "".join(_score_row(score) for score in each.kept.get("scores", ()))
    if not rows:
        return ""
    heads = ("", "generated", "95 % of it", "other real images")
    head = "".join(f'<th scope="col">{title}</th>' for title in heads)
    table = _table(f"Scores of {each.report.title}", f"<tr>{head}</tr>", rows)
    return f"<details><summary>Scores</summary>{table}</details>"


def _score_row(score: Mapping[str, float | None]) -> str:
    if score["name"] not in SCORES:
        return ""
    kind = SCORES[score["name"]]
    known = score["low"] is not None
    between = f"{number(score['low'])} to {number(score['high'])}" if known else ""
    wish = f'<span class="wish">{WISH[kind.better]}</span>'
    cells = f"<td>{number(score['value'])}</td><td>{between}</td><td>{number(score['floor'])}</td>"
    return f'<tr><th scope="row">{escape(kind.title)}{wish}</th>{cells}</tr>'


def _protocol(found: Sequence[Found]) -> str:
    protocols = dict.fromkeys(each.kept["protocol"] for each in found if each.kept)
    notes = "".join(f"<li>{escape(text)}</li>" for text in (machine(found), *protocols))
    return f'<ul>{notes}</ul><p class="small">Drawn by {escape(document.versions())}.</p>'
