"""The report of a comparison: one HTML file that needs no network and no script.

    page.render(comparison)    the HTML

Each section is a template, which asks curves.py, samples.py and the comparison for what it shows.
"""

import functools
import json
import math
from collections.abc import Sequence

from markupsafe import Markup

from fish_jax.comparison.report import curves, document, plots, samples, svg
from fish_jax.comparison.report.document import fill
from fish_jax.comparison.results import RANKED_BY, Results, shared_settings
from fish_jax.evaluation.scores import SCORES
from fish_jax.utils.messages import rounded

# Words for what is compared, by `Comparison.of`; the title has those for one, and for more.
WORDS = {
    "loss": {
        "one": "loss",
        "many": "losses",
        "title": ("GAN loss", "GAN losses"),
        "alike": "All losses had the same networks, initial weights, order of images and latents",
    },
    "config": {
        "one": "configuration",
        "many": "configurations",
        "title": ("configuration", "configurations"),
        "alike": (
            "All configurations were trained on the same images, in the same order for the same "
            "seed, and scored against the same real images. Networks, loss, optimiser, batch size "
            "and epochs differ, and so do training time and the number of images D saw"
        ),
    },
}


def render(comparison: Results) -> str:
    """Writes the report of a comparison.

    Args:
      comparison: with the grids of its runs in its folder; those that are not there are left out.

    Returns:
      HTML, the pictures in it.
    """
    words = WORDS[comparison.of]
    show = functools.partial(fill, comparison=comparison, words=words, curves=curves)
    sections = [
        ("scores", "Scores", table(comparison)),
        ("samples", "Samples", show("samples.html", samples=samples)),
        ("losses", "Losses of G and D", show("losses.html")),
        ("verdicts", "Discriminator scores", show("verdicts.html")),
        ("course", "Scores during training", show("course.html")),
        ("equilibrium", "Equilibrium", show("equilibrium.html")),
        ("protocol", "Protocol", show("protocol.html", settings=_settings(comparison))),
    ]
    kind, found = f"Comparison of {words['many']}", _findings(comparison)
    return document.document(_title(comparison), kind, verdict(comparison), found, sections)


def _title(comparison: Results) -> str:
    count, seeds = len(comparison.losses), len(comparison.seeds)
    one, many = WORDS[comparison.of]["title"]
    losses = f"{count} {one}" if count == 1 else f"{count} {many}"
    return f"{losses}, {seeds} {'seed' if seeds == 1 else 'seeds'}{' each' if count > 1 else ''}"


def verdict(comparison: Results) -> str:
    """Which loss or configuration is the best, in sentences."""
    finished = [x for x in comparison.ranked() if comparison.finished(x)]
    caution = " With fewer than 3 seeds, this is anecdotal." if len(comparison.seeds) < 3 else ""
    if comparison.advised:
        caution += f" Not only the loss differs: {_listed(comparison.advised)} had optimisers of "
        caution += "their papers."
    if not finished:
        return "Every run diverged: there is nothing to rank."
    first, score = finished[0], SCORES[RANKED_BY].title
    own = comparison.final(first, RANKED_BY)
    reached = f"a {score} of {own} (real images: {rounded(comparison.floors[RANKED_BY])})"
    if len(comparison.losses) == 1:
        return f"Only {first} was trained; it reached {reached}.{caution}"
    if len(finished) == 1:
        return f"Only {first} finished, with {reached}; all others diverged.{caution}"
    second = finished[1]
    other = comparison.final(second, RANKED_BY)
    equals = [x for x in finished[1:] if comparison.rank(x) == comparison.rank(first)]
    if equals:
        others = _listed([f"{x}, with {comparison.final(x, RANKED_BY)}" for x in equals], "; and ")
        return f"{first}, with {reached}, shares first place with {others}.{caution}"
    apart = abs(own.mean - other.mean) - own.half_width - other.half_width
    relation = "does not overlap" if apart > 0 else "overlaps"
    end = f"its interval {relation} that of {second}, which is second with {other}"
    if math.isnan(apart):
        end = f"{second} is second, with {other}; too few runs finished to give both an interval"
    return f"{first} ranks first, with {reached}; {end}.{caution}"


def _listed(names: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _findings(comparison: Results) -> Markup:
    """The problems of runs, as a list."""
    order, items = comparison.losses.index, []
    for o in sorted(comparison.outcomes, key=lambda o: order(o.loss)):
        who = Markup("{}, seed {}").format(plots.key(order(o.loss), o.loss), o.seed)
        items += [(who, f.name, f"{f.text} ({f.images:,} images seen)") for f in o.findings]
        if o.diverged is not None and not o.findings:
            items.append(
                (
                    who,
                    "divergence",
                    f"After step {o.diverged:,} a loss or a parameter was not finite.",
                )
            )
    sound = "No run diverged, and there are no findings."
    return document.findings(items, "Look at these runs", sound)


def table(comparison: Results) -> Markup:
    """The table of scores, with a dot for each seed below every score."""
    *table, real = comparison.rows()
    names = {SCORES[name].title: name for name in comparison.shown()}
    kinds = {title: SCORES[name] for title, name in names.items()}
    best = {title: _best(comparison, name) for title, name in names.items()}
    rows = []
    for row in table:
        loss = row.pop(comparison.of)
        cells = [
            (value, loss in best.get(title, ()), _dots(comparison, loss, names.get(title, "")))
            for title, value in row.items()
        ]
        rows.append((comparison.losses.index(loss), loss, cells))
    return fill("scores.html", words=WORDS[comparison.of], kinds=kinds, rows=rows, real=real)


def _best(comparison: Results, name: str) -> list[str]:
    """The losses or configurations with the best mean, if there are several."""
    means = {x: comparison.final(x, name).mean for x in comparison.losses}
    floor, kind = comparison.floors[name], SCORES[name]
    known = {x: kind.badness(mean, floor) for x, mean in means.items() if svg.is_finite(mean)}
    return [x for x, bad in known.items() if bad == min(known.values()) < max(known.values())]


def _dots(comparison: Results, loss: str, name: str) -> Markup:
    """A dot for each seed, on a scale that the column shares; empty for what is no score."""
    if not name:
        return Markup()
    everything = [o.marks[-1].scores[name] for o in comparison.outcomes if o.diverged is None]
    own = [o.marks[-1].scores[name] for o in comparison.finished(loss)]
    floor = comparison.floors[name]
    scale = svg.Scale(*svg.extent([*everything, floor]), 4, 92)
    parts = [svg.element("path", class_="axis", d="M2 7H94")]
    if svg.is_finite(floor):
        parts.append(svg.element("path", class_="floor", d=f"M{scale(floor):.1f} 1V13"))
    colour, _ = svg.style_of(comparison.losses.index(loss))
    parts += [svg.marker(0, scale(v), 7, colour, 2.6) for v in own if svg.is_finite(v)]
    return svg.element("svg", *parts, class_="dots", viewBox="0 0 96 14", aria_hidden="true")


def _settings(comparison: Results) -> str:
    """Every setting of the runs as JSON, or nothing if the shared ones are lost."""
    shown = shared_settings(comparison)
    if comparison.of == "config":
        seedless = lambda o: {k: v for k, v in o.settings.items() if k not in ("name", "seed")}
        shown = shown | {"configs": {o.loss: seedless(o) for o in comparison.outcomes}}
    return json.dumps(shown, indent=2, ensure_ascii=False) if shown else ""
