"""Results of a comparison: the outcomes of its runs, statistics over seeds, and tables."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from fish_jax.evaluation.scores import SCORES, kind_of
from fish_jax.runs.health import Finding
from fish_jax.runs.layout import COMPARISON
from fish_jax.utils import json_text
from fish_jax.utils.files import without_nan, write_text
from fish_jax.utils.messages import rounded
from fish_jax.utils.validation import NOT_NEGATIVE, ROWS, TEXT, Kind, Kinds, check_fields, whole

RANKED_BY = "frechet"
PLURAL = {"loss": "losses", "config": "configs"}  # what can be compared


def _are_numbers(values: Any) -> bool:
    """Whether a list holds numbers alone; NaN is one."""
    return isinstance(values, list) and all(type(each) in (int, float) for each in values)


def _are_curves(values: Any) -> bool:
    """Whether a mapping holds numbers by name, as many of each, with those of "images"."""
    if not isinstance(values, dict) or not all(map(_are_numbers, values.values())):
        return False
    return not values or ("images" in values and len(set(map(len, values.values()))) == 1)


NUMBERS = Kind("a list of numbers", _are_numbers)
COUNT = whole(0, 2**63 - 1)
MARK: Kinds = {
    "epoch": whole(1),
    "images": COUNT,
    "updates": COUNT,
    "scores": Kind(
        "numbers by the names of scores",
        lambda value: all(map(kind_of, value)) and _are_numbers(list(value.values())),
    ),
    "real": NUMBERS,
    "fake": NUMBERS,
}
FINDING: Kinds = {"name": TEXT, "images": COUNT, "text": TEXT}
OUTCOME: Kinds = {
    "loss": TEXT,
    "seed": COUNT,
    "diverged": Kind("a step or null", lambda value: value is None or COUNT.accepts(value)),
    "marks": ROWS,
    "seconds": NOT_NEGATIVE,
    "curves": Kind("lists of numbers, of one length", _are_curves, needed=False),
    "findings": ROWS,
    "planned": Kind("epochs", lambda value: all(map(COUNT.accepts, value)), needed=False),
    "settings": Kind(
        "a configuration",
        lambda value: value == {} or isinstance(value["loss"]["name"], str),
        needed=False,
    ),
}


class Mark(NamedTuple):
    """An evaluation of a run during training.

    Attributes:
      epoch: passes over the images done.
      images: real images that D has seen.
      updates: the updates of G.
      scores: by name, as `evaluation.judge` gives them.
      real, fake: D's outputs for some images of each.
    """

    epoch: int
    images: int
    updates: int
    scores: Mapping[str, float]
    real: Sequence[float]
    fake: Sequence[float]

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        write_text(path, json.dumps(self._asdict()))

    @classmethod
    def read(cls, path: Path) -> "Mark":
        """Reads what `write` wrote.

        Raises:
          UserError, LookupError, AttributeError, OSError, TypeError, ValueError: it is damaged.
        """
        return cls._of(json_text.read(path))

    @classmethod
    def _of(cls, fields: Any) -> "Mark":
        check_fields(fields, MARK, "the mark")
        return cls(**fields)


class Outcome(NamedTuple):
    """The result of a run.

    Attributes:
      loss, seed: which run it is; where configurations are compared, `loss` is the name of one.
      diverged: the step after which a number was not finite, or None.
      marks: evaluations during training, the last at the end unless it diverged.
      seconds: spent in steps.
      curves: what it logged, thinned: "images" that D has seen, and as many numbers each of
        "d_loss", "g_loss" and whatever else (BEGAN's "k", "m_global", "energy_ratio").
      findings: the findings of the health checks.
      planned: epochs after which it was to be evaluated.
      settings: its configuration, in JSON's types.
    """

    loss: str
    seed: int
    diverged: int | None
    marks: tuple[Mark, ...]
    seconds: float
    curves: Mapping[str, Sequence[float]] = {}
    findings: tuple[Finding, ...] = ()
    planned: Sequence[int] = ()
    settings: Mapping[str, Any] = {}

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        write_text(path, json.dumps(self.plain()))

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """Reads what `write` wrote; raises what `Mark.read` does."""
        fields = json_text.read(path)
        check_fields(fields, OUTCOME, "the outcome")
        for finding in fields["findings"]:
            check_fields(finding, FINDING, "the finding")
        marks = tuple(map(Mark._of, fields["marks"]))
        if fields["diverged"] is None and not marks:
            raise ValueError("the outcome has no evaluation")
        findings = tuple(Finding(**finding) for finding in fields["findings"])
        return cls(**fields | {"marks": marks, "findings": findings})

    def plain(self) -> dict[str, Any]:
        """The fields in JSON's types."""
        lists = {"marks": self.marks, "findings": self.findings}
        return self._asdict() | {name: [x._asdict() for x in each] for name, each in lists.items()}


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same fields, some by another name."""
    return {names.get(name, name): value for name, value in fields.items()}


def _each(numbers: Iterable[int]) -> str:
    """Different numbers in a list, as text."""
    return ", ".join(map(str, sorted(set(numbers))))


class Spread(NamedTuple):
    """A number over seeds: its mean and half the width of its 95 % interval (nan for one seed)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        known = math.isfinite(self.half_width)
        return rounded(self.mean) + (f" ± {rounded(self.half_width, 2)}" if known else "")


def spread(values: Sequence[float]) -> Spread:
    """The mean of independent runs and half the width of its 95 % t interval."""
    mean = float(np.mean(values)) if values else math.nan
    if len(values) < 2:
        return Spread(mean, math.nan)
    t = stdtrit(len(values) - 1, 0.975)
    return Spread(mean, float(t * np.std(values, ddof=1) / len(values) ** 0.5))


class Results(NamedTuple):
    """The outcomes of all runs of a comparison, and statistics of them.

    Attributes:
      outcomes: the outcomes of each loss and seed.
      losses, seeds: in the order asked for; where configurations are compared, `losses` are their
        names.
      floors: each score's value for real images, the baseline.
      protocol: the protocol of the evaluations, in words.
      folder: with a run of each loss and seed in runs/LOSS-SEED, and there a grid of samples for
        each mark, mark-EPOCH.png, of the seeds 0 .. 31 in rows of eight.
      advised: losses that had the optimiser and D's updates of their paper.
      of: what is compared, a key of `PLURAL`: "loss", or "config", a whole configuration; also
        the name of its column in tables and files.
    """

    outcomes: tuple[Outcome, ...]
    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    floors: Mapping[str, float]
    protocol: str
    folder: str = ""
    advised: tuple[str, ...] = ()
    of: str = "loss"

    def ranked(self) -> list[str]:
        """The losses or configurations, best rank first; of equal ranks the better mean first."""
        means = {loss: self.final(loss, RANKED_BY).mean for loss in self.losses}
        known = lambda loss: math.inf if math.isnan(means[loss]) else means[loss]
        return sorted(self.losses, key=lambda loss: (self.rank(loss), known(loss)))

    def finished(self, loss: str) -> list[Outcome]:
        """The runs of a loss that did not diverge."""
        return [o for o in self.outcomes if o.loss == loss and o.diverged is None]

    def final(self, loss: str, score: str) -> Spread:
        """A score at the end of training, over the seeds that did not diverge."""
        return spread([o.marks[-1].scores[score] for o in self.finished(loss)])

    def rank(self, loss: str, score: str = RANKED_BY) -> float:
        """The mean over seeds of the loss' place among all, 1 the best.

        Last is a run that diverged, or has no number.
        """
        places = []
        for seed in self.seeds:
            values = {o.loss: self._badness(o, score) for o in self.outcomes if o.seed == seed}
            own = values[loss]
            better = sum(v < own for v in values.values())
            equal = sum(v == own for v in values.values())
            places.append(better + (equal + 1) / 2)
        return float(np.mean(places))

    def _badness(self, outcome: Outcome, score: str) -> float:
        """How bad a run's last score is; infinite if it diverged or has none."""
        value = math.nan if outcome.diverged is not None else outcome.marks[-1].scores[score]
        return math.inf if math.isnan(value) else kind_of(score).badness(value, self.floors[score])

    def rows(self) -> list[dict[str, str]]:
        """The rows of the table, best rank first; the last is that of real images."""
        rows = []
        for loss in self.ranked():
            runs = [o for o in self.outcomes if o.loss == loss]
            row = {self.of: loss, "rank": f"{self.rank(loss):.2g}"}
            row |= {SCORES[name].title: str(self.final(loss, name)) for name in self.shown()}
            row["minutes"] = f"{np.mean([o.seconds for o in runs]) / 60:.3g}"
            ends = [o.marks[-1] for o in self.finished(loss)]
            row["images"] = _each(mark.images for mark in ends)
            row["updates of G"] = _each(mark.updates for mark in ends)
            row["diverged"] = f"{sum(o.diverged is not None for o in runs)} of {len(runs)}"
            rows.append(row)
        floors = {SCORES[name].title: rounded(self.floors[name]) for name in self.shown()}
        return [*rows, dict.fromkeys(rows[0], "") | {self.of: "real images"} | floors]

    def shown(self) -> list[str]:
        """Names of the scores that have a column."""
        return [name for name in SCORES if name in self.floors]

    def table(self) -> str:
        """The table as text: mean and 95 % interval over seeds of each score, and its floor."""
        rows = self.rows()
        cells = [list(rows[0]), *[list(row.values()) for row in rows]]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, "", *self.notes()])

    def notes(self) -> list[str]:
        """Sentences that explain the table."""
        seeds = f"{len(self.seeds)} seeds: mean ± half of the 95 % interval over seeds"
        if len(self.seeds) < 3:
            seeds = "fewer than 3 seeds: anecdotal, too few for a comparison"
        rank = (
            f"rank: each seed ranks the losses by {SCORES[RANKED_BY].title}; the mean of these "
            "ranks"
        )
        own = f"optimiser and D updates as in their papers: {', '.join(self.advised)}"
        cost = (
            "minutes: training steps only, without compilation and evaluation; images: real "
            "images that D saw"
        )
        return [seeds, rank, cost, *([own] if self.advised else []), self.protocol]

    def to_csv(self) -> str:
        """All scores as CSV, a line for each evaluation of each run."""
        file = io.StringIO()
        names = list(self.floors)
        writer = csv.writer(file)
        writer.writerow([self.of, "seed", "diverged", "epoch", "images", "updates", *names])
        for o in self.outcomes:
            for mark in o.marks:
                row = [o.loss, o.seed, o.diverged, mark.epoch, mark.images, mark.updates]
                writer.writerow([*row, *(mark.scores[name] for name in names)])
        return file.getvalue()

    def to_json(self) -> str:
        """Everything as JSON; a number that is not finite is null."""
        outcomes = [_renamed(o.plain(), {"loss": self.of}) for o in self.outcomes]
        fields = _renamed(self._asdict(), {"losses": PLURAL[self.of]}) | {"outcomes": outcomes}
        return json.dumps(without_nan(fields), allow_nan=False)


def shared_settings(comparison: Results) -> dict[str, Any]:
    """The settings that all runs share, as written when the comparison began; {} if lost."""
    try:
        found = json_text.read(Path(comparison.folder) / COMPARISON)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
