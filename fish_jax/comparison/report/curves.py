"""Figures of the report of a comparison: losses, scores during training, D's outputs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from fish_jax.comparison.report import svg
from fish_jax.comparison.report.document import WISH, Figure, figures
from fish_jax.comparison.report.plots import axis_below, key, plot
from fish_jax.comparison.report.svg import WIDTH, Box, Line, Scale
from fish_jax.comparison.results import Mark, Outcome, Results, shared_settings, spread
from fish_jax.evaluation.scores import is_level, kind_of
from fish_jax.losses import LOSSES
from fish_jax.losses.presets import PRESETS
from fish_jax.utils.messages import rounded

SIDES = {"d_loss": "D", "g_loss": "G"}
EQUILIBRIUM = {"k": "k_t", "m_global": "M_global", "energy_ratio": "L(G(z)) / L(x)"}


def runs_of(comparison: Results, loss: str) -> list[Outcome]:
    """The runs of a loss or configuration."""
    return [o for o in comparison.outcomes if o.loss == loss]


def ending(runs: Sequence[Outcome]) -> str:
    """Which runs diverged, and when."""
    lost = [o for o in runs if o.diverged is not None]
    return "; ".join(f"× seed {o.seed} diverged at step {o.diverged:,}" for o in lost)


def _titled(comparison: Results, runs: Sequence[Outcome], chart: Markup, empty: str) -> Figure:
    """A figure of runs of one loss or configuration, with a note on those that diverged."""
    loss = runs[0].loss
    return Figure(key(comparison.losses.index(loss), loss), ending(runs), chart, empty)


def loss_curves(comparison: Results) -> Markup:
    """Figures of D's and G's losses, one for each loss or configuration compared."""
    return _per_loss(comparison, SIDES, "no losses were logged")


def equilibrium(comparison: Results) -> Markup:
    """Figures of BEGAN's k, M_global and ratio of energies; empty if no run has them."""
    kept = shared_settings(comparison).get("config", {})
    gammas = {o.loss: _gamma(o.settings or kept) for o in comparison.outcomes}
    return _per_loss(comparison, EQUILIBRIUM, "", gammas)


def _gamma(config: Mapping[str, Any]) -> float:
    """BEGAN's gamma of a configuration, or nan."""
    try:
        return float(config["loss"]["gamma"])
    except (KeyError, TypeError, ValueError):
        return math.nan


def other_curves(comparison: Results) -> Markup:
    """Figures of all other logged metrics; empty if there are none."""
    names = dict.fromkeys(name for o in comparison.outcomes for name in o.curves)
    rest = [x for x in names if x not in {"images", *SIDES, *EQUILIBRIUM}]
    if not rest:
        return Markup()
    return _per_loss(comparison, {x: x.replace("_", " ") for x in rest}, "nothing else was logged")


def _per_loss(
    comparison: Results, names: Mapping[str, str], without: str, gammas: Mapping[str, float] = {}
) -> Markup:
    """A figure for each loss or configuration; `without` is shown if it logged none of them."""
    made = []
    for loss in comparison.ranked():
        runs = runs_of(comparison, loss)
        chart = _stack(loss, runs, names, gammas.get(loss, math.nan))
        if chart or without:
            made.append(_titled(comparison, runs, chart, without))
    return figures(made)


def _stack(loss: str, runs: Sequence[Outcome], names: Mapping[str, str], gamma: float) -> Markup:
    """Plots one above the other, with a line for each seed; empty if nothing was logged."""
    names = {name: title for name, title in names.items() if any(name in o.curves for o in runs)}
    if not names:
        return Markup()
    parts, height, top = [], 84, 20
    for place, (name, title) in enumerate(names.items()):
        box = Box(46, top + place * (height + 30), WIDTH - 46 - 46, height)
        side = {"d_loss": "d", "g_loss": "g"}.get(name, "other")
        lines = [_line(o, name, f"{side} s{seed % 3}") for seed, o in enumerate(runs)]
        last = place == len(names) - 1
        floor = gamma if name == "energy_ratio" else math.nan
        chart = plot(box, lines, floor=floor, robust=True, count=3, floor_label="γ", numbered=last)
        parts.append(svg.text(box.left, box.top - 9, title, f"title {side}") + chart)
    tall = top + len(names) * (height + 30) + 8
    label = f"{', '.join(names.values())} of {loss} against images seen, one line per seed. "
    label += ending(runs)
    return svg.picture(WIDTH, tall, label, Markup().join(parts))


def _line(outcome: Outcome, name: str, style: str) -> Line:
    """A metric that a run logged; a run that diverged ends with a cross."""
    xs, ys = list(outcome.curves.get("images", ())), list(outcome.curves.get(name, ()))
    known = [(x, y) for x, y in zip(xs, ys) if svg.is_finite(x) and svg.is_finite(y)]
    ended = known[-1:] if outcome.diverged is not None else []
    return Line(f"seed {outcome.seed}", f"{outcome.seed}", xs, ys, style, ended=ended)


def score_curves(comparison: Results) -> Markup:
    """Figures of every score during training."""
    return figures([_score_figure(comparison, name) for name in comparison.shown()])


def level_curves(comparison: Results) -> Markup:
    """Figures of each level of the sliced Wasserstein distance in training, if there are any."""
    names = [name for name in comparison.floors if is_level(name)]
    return figures([_score_figure(comparison, name) for name in names])


def _score_figure(comparison: Results, name: str) -> Figure:
    kind = kind_of(name)
    lines = [_score_line(comparison, loss, name) for loss in comparison.losses]
    lines = [line for line in lines if line.xs]
    if not lines:
        return Figure(kind.title, empty="no run was evaluated")
    tall = max(190, 12 * len(lines) + 14)
    longest = max(4, *(len(line.label) for line in lines))  # as "real" has
    box, floor = Box(46, 10, WIDTH - 46 - 24 - 6 * longest, tall), comparison.floors[name]
    log = kind.better == "low"
    chart = plot(box, lines, floor=floor, log=log)
    found = [f"{line.name} {rounded(line.ys[-1])}" for line in lines]
    label = (
        f"{kind.title} against images seen; at the end {', '.join(found)}; real {rounded(floor)}"
    )
    note = WISH[kind.better]
    if log and svg.log_extent([y for line in lines for y in line.ys] + [floor]):
        note += "; logarithmic"
    return Figure(kind.title, note, svg.picture(WIDTH, tall + 46, label, chart))


def _score_line(comparison: Results, loss: str, name: str) -> Line:
    """The mean over the seeds that reached an epoch, at each epoch with evaluations."""
    runs, place = runs_of(comparison, loss), comparison.losses.index(loss)
    marks = [mark for o in runs for mark in o.marks]
    epochs = sorted({mark.epoch for mark in marks})
    of = [[mark for mark in marks if mark.epoch == epoch] for epoch in epochs]
    spreads = [spread([mark.scores.get(name, math.nan) for mark in each]) for each in of]
    xs = [float(np.mean([mark.images for mark in each])) for each in of]
    low, high = ([s.mean + sign * s.half_width for s in spreads] for sign in (-1, 1))
    lost = [o for o in runs if o.diverged is not None and o.marks]
    ended = [(float(o.marks[-1].images), o.marks[-1].scores.get(name, math.nan)) for o in lost]
    label = loss if len(loss) <= 13 else loss[:12] + "…"
    colour, shape = svg.style_of(place)
    style, means = f"{colour} loss-{place}", [s.mean for s in spreads]
    return Line(loss, label, xs, means, style, low, high, shape, ended)


def gives_energy(loss: str) -> bool:
    """Whether D's output is an energy, lower for images that look more real."""
    name = PRESETS[loss].loss["name"] if loss in PRESETS else loss
    return name in LOSSES and bool(LOSSES[name].energy)


def verdicts(outcome: Outcome) -> Markup:
    """Histograms of D's outputs for real and generated images, a row for each evaluation.

    Empty if the run was never evaluated.
    """
    marks = outcome.marks
    if not marks:
        return Markup()
    values = [v for mark in marks for v in (*mark.real, *mark.fake)]
    low, high = svg.extent(values, robust=True)
    row, left, right = 62, 62, WIDTH - 46
    x = Scale(low, high, left, right)
    name = outcome.settings["loss"]["name"] if outcome.settings else outcome.loss
    own = outcome.settings.get("own", {}).get("loss")
    energy = bool(own["energy"]) if own else gives_energy(name)
    shares = [separation(*((m.fake, m.real) if energy else (m.real, m.fake))) for m in marks]
    bases = [34 + place * row for place in range(len(marks))]
    parts = [_ridge(*each, x) for each in zip(marks, shares, bases)]
    bottom = 34 + (len(marks) - 1) * row + 30
    parts.append(svg.element("path", class_="axis", d=f"M{left} {bottom}H{right}"))
    parts.append(axis_below(x, bottom, "energy" if energy else "score", 4))
    told = [f"after epoch {m.epoch} {_percent(share)}" for m, share in zip(marks, shares)]
    label = (
        f"Discriminator scores of {outcome.loss}, seed {outcome.seed}; share of pairs ranked "
        "correctly: "
    )
    return svg.picture(WIDTH, bottom + 34, label + ", ".join(told), Markup().join(parts))


def verdict_figures(comparison: Results, seed: int) -> list[Figure]:
    """A figure of `verdicts` for each run of a seed, best rank first."""
    runs = [o for x in comparison.ranked() for o in runs_of(comparison, x) if o.seed == seed]
    return [_titled(comparison, [o], verdicts(o), ending([o]) or "never judged") for o in runs]


def _ridge(mark: Mark, share: float, base: float, x: Scale) -> Markup:
    """A histogram of real images above a line, and one of generated images below it."""
    sides = [svg.histogram(values, x.low, x.high) for values in (mark.real, mark.fake)]
    unit = 27 / max(*(float(side.max()) for side in sides), 1e-9)
    outlines = [svg.steps(side, x, base, sign * unit) for side, sign in zip(sides, (-1, 1))]
    paths = {"real": outlines[0], "fake": outlines[1], "base": f"M{x.start:.1f} {base}H{x.end:.1f}"}
    parts = [svg.element("path", class_=style, d=d) for style, d in paths.items()]
    parts.append(svg.text(0, base + 3.5, f"epoch {mark.epoch}", "row"))
    return Markup().join([*parts, svg.text(x.end + 8, base + 3.5, _percent(share), "row")])


def separation(high: Sequence[float], low: Sequence[float]) -> float:
    """Share of pairs in which the first number is the higher; ties count half."""
    sides = [np.array([v for v in side if svg.is_finite(v)]) for side in (high, low)]
    if not all(map(len, sides)):
        return math.nan
    ordered = np.sort(sides[1])
    below = [np.searchsorted(ordered, sides[0], side).mean() for side in ("left", "right")]
    return float(sum(below)) / 2 / len(ordered)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "?"
