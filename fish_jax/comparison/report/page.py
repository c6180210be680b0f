"""The report of a comparison: one HTML file that needs no network and no script.

    page.render(comparison)    the HTML

Each section is a template; what it shows is gathered here, in curves.py and in samples.py.
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from fish_jax.comparison.report import curves, document, samples, svg
from fish_jax.comparison.report.document import Figure, fill
from fish_jax.comparison.report.plots import key
from fish_jax.comparison.results import RANKED_BY, Outcome, Results, shared_settings
from fish_jax.evaluation.scores import SCORES


class Words(NamedTuple):
    """The words of a report for what is compared.

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
    """Writes the report of a comparison.

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
    """Which loss or configuration is the best, in sentences."""
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


def _findings(comparison: Results) -> Markup:
    """What is wrong with runs, as a list."""
    order = comparison.losses.index
    items = [
        (Markup("{}, seed {}").format(key(order(o.loss), o.loss), o.seed), name, words)
        for o in sorted(comparison.outcomes, key=lambda o: order(o.loss))
        for name, words in _wrong(o)
    ]
    sound = "No run diverged, and there are no findings."
    return document.findings(items, "Look at these runs", sound)


def _wrong(outcome: Outcome) -> Iterable[tuple[str, str]]:
    """The name of each finding of a run, and its words."""
    told = {finding.name for finding in outcome.findings}
    if outcome.diverged is not None and "divergence" not in told:
        yield "divergence", f"After step {outcome.diverged:,} a number was not finite."
    for finding in outcome.findings:
        yield finding.name, f"{finding.text} ({finding.images:,} images seen)"


def table(comparison: Results) -> Markup:
    """The table of scores, with a dot for each seed below every score."""
    table = comparison.rows()
    kinds = {kind.title: kind for name, kind in SCORES.items() if name in comparison.floors}
    names = {kind.title: name for name, kind in SCORES.items()}
    best = {title: _best(comparison, names[title]) for title in kinds}
    rows = []
    for row in table[:-1]:
        loss = row.pop(comparison.of)
        cells = [
            (value, loss in best.get(title, ()), _dots(comparison, loss, names.get(title, "")))
            for title, value in row.items()
        ]
        rows.append((comparison.losses.index(loss), loss, cells))
    words, floors = WORDS[comparison.of], list(table[-1].values())
    return fill(
        "scores.html", words=words, titles=list(table[-1]), kinds=kinds, rows=rows, floors=floors
    )


def _best(comparison: Results, name: str) -> list[str]:
    """Those compared whose mean is the best, if there is a choice."""
    means = {x: comparison.final(x, name).mean for x in comparison.losses}
    floor, kind = comparison.floors[name], SCORES[name]
    known = {x: kind.badness(mean, floor) for x, mean in means.items() if svg.is_finite(mean)}
    return [x for x, bad in known.items() if bad == min(known.values()) < max(known.values())]


def _dots(comparison: Results, loss: str, name: str) -> Markup:
    """A dot for each seed, on a scale that the column shares; empty for what is no score."""
    if not name:
        return Markup()
    ends = {
        x: [o.marks[-1].scores[name] for o in comparison.finished(x)] for x in comparison.losses
    }
    floor = comparison.floors[name]
    everything = [value for values in ends.values() for value in values]
    scale = svg.Scale(*svg.extent([*everything, floor]), 4, 92)
    parts = [svg.element("path", class_="axis", d="M2 7H94")]
    if svg.is_finite(floor):
        parts.append(svg.element("path", class_="floor", d=f"M{scale(floor):.1f} 1V13"))
    colour, _ = svg.style_of(comparison.losses.index(loss))
    parts += [svg.marker(0, scale(v), 7, colour, 2.6) for v in ends[loss] if svg.is_finite(v)]
    return svg.element("svg", *parts, class_="dots", viewBox="0 0 96 14", aria_hidden="true")


def _samples(comparison: Results) -> Markup:
    """Samples of every run, a table for each seed."""
    return fill(
        "samples.html",
        words=WORDS[comparison.of],
        of=comparison.of,
        differ=samples.differ(comparison),
        seeds=comparison.seeds,
        grids=[samples.grid(comparison, seed) for seed in comparison.seeds],
    )


def _losses(comparison: Results) -> Markup:
    """What runs logged."""
    others = curves.other_curves(comparison)
    return fill("losses.html", losses=curves.loss_curves(comparison), others=others)


def _verdicts(comparison: Results) -> Markup:
    """D's outputs for real and generated images, figures for each seed."""
    shown = []
    for seed in comparison.seeds:
        of = {o.loss: o for o in comparison.outcomes if o.seed == seed}
        shown.append([_verdict_figure(comparison, of[x]) for x in comparison.ranked() if x in of])
    return fill("verdicts.html", seeds=comparison.seeds, figures=shown)


def _verdict_figure(comparison: Results, outcome: Outcome) -> Figure:
    empty = curves.ending([outcome]) or "never judged"
    chart = curves.verdicts(outcome)
    return curves.titled(comparison, outcome.loss, [outcome], chart, empty)


def _course(comparison: Results) -> Markup:
    """Scores during training."""
    return fill(
        "course.html",
        words=WORDS[comparison.of],
        names=comparison.losses,
        scores=curves.score_curves(comparison),
        levels=curves.level_curves(comparison),
    )


def _equilibrium(comparison: Results) -> Markup:
    """BEGAN's balance; empty if no run has one."""
    found = curves.equilibrium(comparison)
    return fill("equilibrium.html", figures=found) if found else Markup()


def _protocol(comparison: Results) -> Markup:
    """How runs were trained and judged."""
    shown: dict[str, Any] = shared_settings(comparison)
    if comparison.of == "config":
        seedless = lambda o: {k: v for k, v in o.settings.items() if k not in ("name", "seed")}
        shown = shown | {"configs": {o.loss: seedless(o) for o in comparison.outcomes}}
    settings = json.dumps(shown, indent=2, ensure_ascii=False) if shown else ""
    words, notes = WORDS[comparison.of], comparison.notes()
    return fill("protocol.html", words=words, notes=notes, settings=settings)
