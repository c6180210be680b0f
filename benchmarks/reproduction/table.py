"""The experiments as a table, beside the report's times and values."""

import math
from collections.abc import Sequence

from benchmarks.reproduction.found import Found
from benchmarks.results import markdown
from fish_jax.evaluation.scores import SCORES

SHOWN = ("sliced_wasserstein", "frechet", "precision", "recall", "coverage", "similarity")
LOSSES = {"D": "d_loss", "G": "g_loss", "ratio": "energy_ratio"}


def number(value: float) -> str:
    """In three digits, or as many as there are before the point."""
    return f"{value:.3g}" if abs(value) < 99.95 else whole(value)


def whole(value: float) -> str:
    """Rounded; empty if there is none."""
    return f"{value:,.0f}" if math.isfinite(value) else ""


def speeds(found: Sequence[Found]) -> str:
    """What an epoch took, as Markdown; the report's epochs had more images, so rates compare."""
    header = ["", "epochs", "of", "images", "s an epoch", "images/s", "GFLOP/s"]
    header += ["report: s an epoch", "images/s"]
    rows = []
    for each in found:
        report = each.report
        images = each.facts["images"]
        cells = [str(each.epoch), str(report.epochs), whole(images)]
        cells += [number(images / each.rate), number(each.rate), whole(each.gflops)]
        cells += [whole(report.seconds), whole(report.rate)] if report.seconds else ["", ""]
        rows.append([report.title, *cells])
    return markdown(header, rows)


def results(found: Sequence[Found]) -> str:
    """Losses of the last epoch, in brackets the report's at that epoch, and scores, as Markdown."""
    header = ["", *LOSSES, *(SCORES[name].title for name in SHOWN), "findings"]
    rows = []
    for each in found:
        cells = [ending(each, metric) for metric in LOSSES.values()]
        cells += [number(each.score(name)[0]) for name in SHOWN]
        cells.append(", ".join(dict.fromkeys(finding.name for finding in each.findings())))
        rows.append([each.report.title, *cells])
    for clean, title in ((True, "real images"), (False, "all real images")):
        judged = [each for each in found if each.report.clean == clean and each.kept]
        if judged:
            floors = [number(judged[0].score(name)[1]) for name in SHOWN]
            rows.append([title, *("" for _ in LOSSES), *floors, ""])
    return markdown(header, rows)


def ending(each: Found, metric: str) -> str:
    """A metric's mean over the last epoch, and the report's where it tells that epoch's."""
    value = number(each.at(metric, each.epoch))
    said = [theirs for epoch, theirs in each.readings(metric) if epoch == each.epoch]
    return f"{value} ({said[0]:g})" if said else value


def machine(found: Sequence[Found]) -> str:
    """With what, when and on what images the experiments were trained."""
    parts = []
    for each in found:
        facts, config = each.facts, each.config
        images = "photographs" if config["data"]["path"] else "drawn fish"
        size = f"{config['height']} x {config['width']}"
        parts.append(
            f"{facts['device']}, {config['precision']}, {size} {images}, JAX {facts['jax']}, "
            f"fish_jax {facts['fish_jax']}, Python {facts['python']}, {facts['date']}"
        )
    return "; ".join(dict.fromkeys(parts))
