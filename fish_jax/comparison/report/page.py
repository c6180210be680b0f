"""The page of a comparison: one HTML file that needs nothing else, no network and no script.

    page.render(comparison)    the HTML

The sections are drawn here and in page_curves.py and page_grids.py.
"""

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from fish_jax.comparison.report import curves, document, samples, svg
from fish_jax.comparison.report.curves import WISH
from fish_jax.comparison.report.plots import key
from fish_jax.comparison.results import RANKED_BY, Outcome, Results, shared_settings
from fish_jax.evaluation.scores import SCORES

ALERTS = 8  # that are in sight; the rest is folded away


class Words(NamedTuple):
    """What the page calls what is compared, in prose.

    Attributes:
      one, many: of it.
      title: of as many as a number, one and more.
      alike: what all runs have in common.
    """

    one: str
    many: str
    title: tuple[str, str]
    alike: str


WORDS = {  # by `Comparison.of`
    "loss": Words(
        "loss",
        "losses",
        ("GAN loss", "GAN losses"),
        "All losses had the same networks, initial weights, order of images and latents",
    ),
    "config": Words(
        "configuration",
        "configurations",
        ("configuration", "configurations"),
        "All configurations were trained on the same images, of a seed in the same order, and "
        "judged alike, by the same real images; networks, loss, optimiser, batch size and epochs "
        "are each one's own, and so is how many images D saw in how much time",
    ),
}


def render(comparison: Results) -> str:
    """Draws a comparison.

    Args:
      comparison: with the grids of its runs in its folder; those that are not there are left out.

    Returns:
      HTML, the pictures in it.
    """
    sections = [
        ("scores", "Scores", table(comparison)),
        ("samples", "Samples", _samples(comparison)),
        ("losses", "Losses of G and D", _losses(comparison)),
        ("verdicts", "What D says", _verdicts(comparison)),
        ("course", "Scores in the course of training", _course(comparison)),
        ("equilibrium", "Equilibrium", _equilibrium(comparison)),
        ("protocol", "Protocol", _protocol(comparison)),
    ]
    return document.document(
        _title(comparison),
        f"Comparison of {WORDS[comparison.of].many}",
        verdict(comparison),
        _findings(comparison),
        sections,
    )


def _counted(count: int, noun: str, nouns: str) -> str:
    return f"{count} {noun if count == 1 else nouns}"


def _title(comparison: Results) -> str:
    losses = _counted(len(comparison.losses), *WORDS[comparison.of].title)
    seeds = _counted(len(comparison.seeds), "seed", "seeds")
    return f"{losses}, {seeds}{' each' if len(comparison.losses) > 1 else ''}"


def verdict(comparison: Results) -> str:
    """What was found, in plain words."""
    finished = [x for x in comparison.ranked() if comparison.finished(x)]
    few = len(comparison.seeds) < 3
    caution = " With fewer than 3 seeds this is an anecdote." if few else ""
    if comparison.advised:
        caution += f" Not only the loss differs: {_listed(comparison.advised)} had optimisers of "
        caution += "their papers."
    if not finished:
        return "Every run diverged: there is nothing to rank."
    first, score = finished[0], SCORES[RANKED_BY].title
    own = comparison.final(first, RANKED_BY)
    reached = f"a {score} of {own} (real images: {comparison.floors[RANKED_BY]:.4g})"
    if len(comparison.losses) == 1:
        return f"{first} alone was trained, and reached {reached}.{caution}"
    if len(finished) == 1:
        return f"Only {first} came to its end, with {reached}; all others diverged.{caution}"
    second = finished[1]
    other = comparison.final(second, RANKED_BY)
    equals = [x for x in finished[1:] if comparison.rank(x) == comparison.rank(first)]
    if equals:
        others = _listed([f"{x}, with {comparison.final(x, RANKED_BY)}" for x in equals], "; and ")
        return f"{first}, with {reached}, shares first place with {others}.{caution}"
    apart = abs(own.mean - other.mean) - own.half_width - other.half_width
    if math.isnan(apart):
        end = f"{second} is second, with {other}; there are too few runs for intervals of both"
    elif apart <= 0:
        end = f"its interval overlaps that of {second}, the second, with {other}"
    else:
        end = f"its interval is clear of that of {second}, the second, with {other}"
    return f"{first} ranks first, with {reached}; {end}.{caution}"


def _listed(names: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _findings(comparison: Results) -> str:
    """What is wrong with runs, as a list; empty if nothing is."""
    items = [
        f"<li><strong>{key(comparison.losses.index(o.loss), o.loss)}, seed {o.seed}: "
        f"{escape(name)}.</strong> {escape(words)}</li>"
        for o in sorted(comparison.outcomes, key=lambda o: comparison.losses.index(o.loss))
        for name, words in _wrong(o)
    ]
    if not items:
        return '<p class="sound">No run diverged, and there are no findings.</p>'
    first, rest = "".join(items[:ALERTS]), "".join(items[ALERTS:])
    count = len(items) - ALERTS
    more = f"<details><summary>{count} more</summary><ul>{rest}</ul></details>" if rest else ""
    heading = "<h2>Look at these runs</h2>"
    return f'<div class="findings" role="note">{heading}<ul>{first}</ul>{more}</div>'


def _wrong(outcome: Outcome) -> Iterable[tuple[str, str]]:
    told = {finding.name for finding in outcome.findings}
    if outcome.diverged is not None and "divergence" not in told:
        yield "divergence", f"After step {outcome.diverged:,} a number was not finite."
    for finding in outcome.findings:
        yield finding.name, f"{finding.text} ({finding.images:,} images seen)"


def table(comparison: Results) -> str:
    """The comparison's rows, with a dot for each seed below every score."""
    rows = comparison.rows()
    names = {kind.title: name for name, kind in SCORES.items()}
    best = {title: _best(comparison, names[title]) for title in rows[0] if title in names}
    heads = "".join(_head(title, names.get(title, "")) for title in rows[0])
    body = []
    for row in rows[:-1]:
        loss = row[comparison.of]
        cells = [f'<th scope="row">{key(comparison.losses.index(loss), loss)}</th>']
        for title, value in list(row.items())[1:]:
            dots = _dots(comparison, loss, names[title]) if title in names else ""
            cells.append(_value(value, loss in best.get(title, ()), dots))
        body.append(f"<tr>{''.join(cells)}</tr>")
    floor = "".join(_value(value) for value in list(rows[-1].values())[1:])
    foot = f'<tfoot><tr><th scope="row">{escape(rows[-1][comparison.of])}</th>{floor}</tr></tfoot>'
    return (
        f"<p>A row for each {WORDS[comparison.of].one}, the best rank first: the mean over the "
        "seeds that came to the end ± half of its 95 % interval, the best of a column in bold with "
        "a ◆. Below it a dot for each seed, and an upright line for real images.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores">'
        '<table class="scores"><caption class="hidden">Scores at the end of training</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody>{foot}</table></div>"
        f"{_summaries(names.values(), comparison)}"
    )


def _best(comparison: Results, name: str) -> list[str]:
    """Those compared whose mean is the best, if there is a choice."""
    means = {x: comparison.final(x, name).mean for x in comparison.losses}
    floor, better = comparison.floors[name], SCORES[name].better
    worse = {"low": lambda v: v, "high": lambda v: -v, "real": lambda v: abs(v - floor)}[better]
    known = {x: worse(mean) for x, mean in means.items() if svg.is_finite(mean)}
    return [x for x, bad in known.items() if bad == min(known.values()) < max(known.values())]


def _head(title: str, name: str) -> str:
    wish = f'<span class="wish">{WISH[SCORES[name].better]}</span>' if name else ""
    return f'<th scope="col">{escape(title)}{wish}</th>'


def _value(value: str, best: bool = False, dots: str = "") -> str:
    mean, sign, half = value.partition(" ± ")
    mean = "–" if mean in ("", "nan") else mean
    interval = f'<span class="interval">{sign}{escape(half)}</span>' if sign else ""
    mark = '<span class="star" title="the best of the column">◆</span>' if best else ""
    style = ' class="best"' if best else ""
    return f"<td{style}>{mark}{escape(mean)}{interval}{dots}</td>"


def _dots(comparison: Results, loss: str, name: str) -> str:
    """A dot for each seed, on a scale that the column shares."""
    ends = {
        x: [o.marks[-1].scores[name] for o in comparison.finished(x)] for x in comparison.losses
    }
    floor = comparison.floors[name]
    everything = [value for values in ends.values() for value in values]
    scale = svg.Scale(*svg.extent([*everything, floor]), 4, 92)
    line = ""
    if svg.is_finite(floor):
        line = f'<path class="floor" d="M{scale(floor):.1f} 1V13"/>'
    colour, _ = svg.style_of(comparison.losses.index(loss))
    dots = "".join(svg.marker(0, scale(v), 7, colour, 2.6) for v in ends[loss] if svg.is_finite(v))
    drawing = f'<path class="axis" d="M2 7H94"/>{line}{dots}'
    return f'<svg class="dots" viewBox="0 0 96 14" aria-hidden="true">{drawing}</svg>'


def _summaries(names: Iterable[str], comparison: Results) -> str:
    shown = [name for name in names if name in comparison.floors]
    items = "".join(
        f"<dt>{escape(SCORES[x].title)}</dt><dd>{escape(SCORES[x].summary)}; "
        f"{WISH[SCORES[x].better]}</dd>"
        for x in shown
    )
    return f"<details><summary>What each score sees</summary><dl>{items}</dl></details>"


def _samples(comparison: Results) -> str:
    contents = [samples.grids(comparison, seed) for seed in comparison.seeds]
    rows = "a share of its epochs" if samples.differ(comparison) else "an epoch"
    reading = "every cell is the same latent, so read down to see training and across to compare."
    if comparison.of == "config":
        reading = "a column is the same latent, so read down to see training; across, latents are "
        reading += "of the same seeds, which networks of their own make of what they will."
    return (
        f"<p>Each column is a {WORDS[comparison.of].one} and each row {rows}; the same place in "
        f'{reading}<span class="scripted"> Choose a cell to see it larger.</span></p>'
        + samples.choice(comparison, "samples-of", contents)
    )


def _losses(comparison: Results) -> str:
    others = curves.other_curves(comparison)
    more = f"<details><summary>What else was logged</summary>{others}</details>" if others else ""
    return (
        "<p>A line for each seed, with its number at the end. Losses differ in scale, so read the "
        "shape within a chart and do not compare heights between charts; lone spikes may leave a "
        f"chart, and × is where a run diverged.</p>{curves.loss_curves(comparison)}{more}"
    )


def _verdicts(comparison: Results) -> str:
    contents = []
    for seed in comparison.seeds:
        of = {o.loss: o for o in comparison.outcomes if o.seed == seed}
        charts_of = [(x, curves.verdicts(of[x])) for x in comparison.ranked() if x in of]
        figures = "".join(curves.titled(comparison, x, [of[x]], chart) for x, chart in charts_of)
        contents.append(f'<div class="figures">{figures}</div>')
    return (
        "<p>How D scores "
        '<span class="swatch real"></span> real images, above each line, and '
        '<span class="swatch fake"></span> generated ones, below it. The number is the share of '
        "pairs of one of each that D tells apart, by a higher score of the real one or a lower "
        "energy: 50 % is a coin.</p>" + samples.choice(comparison, "verdicts-of", contents)
    )


def _course(comparison: Results) -> str:
    losses = comparison.losses
    keys = "".join(f"<li>{key(i, loss)}</li>" for i, loss in enumerate(losses))
    named = WORDS[comparison.of].many.capitalize()
    levels = curves.level_curves(comparison)
    more = "<details><summary>Sliced Wasserstein distance, scale by scale</summary>"
    more += f'<div class="figures">{levels}</div></details>'
    return (
        "<p>The mean over the seeds that came so far, with its 95 % interval as a band, and "
        "dashed what real images have; × is the last score of a run that diverged.</p>"
        f'<ul class="keys" aria-label="{named}">{keys}</ul>'
        f'<div class="figures">{curves.score_curves(comparison)}</div>{more if levels else ""}'
    )


def _equilibrium(comparison: Results) -> str:
    found = curves.equilibrium(comparison)
    if not found:
        return ""
    return (
        "<p>BEGAN balances itself: k_t should settle, M_global should fall, and the ratio of "
        f"energies should come to gamma, the dashed line.</p>{found}"
    )


def _protocol(comparison: Results) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes())
    settled = shared_settings(comparison)
    if comparison.of == "config":
        seedless = lambda o: {k: v for k, v in o.settings.items() if k not in ("name", "seed")}
        settled = settled | {"configs": {o.loss: seedless(o) for o in comparison.outcomes}}
    told = json.dumps(settled, indent=2, ensure_ascii=False) if settled else ""
    details = f"<details><summary>Every setting</summary><pre>{escape(told)}</pre></details>"
    return (
        f"<p>{WORDS[comparison.of].alike}; numbers of other protocols cannot be compared with "
        "these.</p>"
        f"<ul>{notes}</ul>{details if told else ''}"
        '<p>Every number is in <a href="comparison.json">comparison.json</a>, and the scores in '
        '<a href="comparison.csv">comparison.csv</a>, beside this page.</p>'
        f'<p class="small">Drawn by {escape(document.versions())}.</p>'
    )
