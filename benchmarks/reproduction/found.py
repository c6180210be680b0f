"""What is left of an experiment: read from the folder of its run."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.reproduction.experiments import EXPERIMENTS, Experiment, Reading
from benchmarks.reproduction.runs import FACTS, GRIDS
from fish_jax.comparison.runner import step_seconds
from fish_jax.errors import UserError
from fish_jax.evaluation import scores_file
from fish_jax.gan.model import make_gan
from fish_jax.runs import config_file, health, metrics
from fish_jax.runs.health import Finding
from fish_jax.training import plots


class Found(NamedTuple):
    """An experiment that came to its end.

    Attributes:
      name: a key of `EXPERIMENTS`.
      folder: of the run.
      config: of the run.
      facts: as `runs` keeps them.
      lines: of its log.
      means: over each epoch of what was logged, as `pictures.epoch_means` gives them.
      kept: scores, as `evaluation.write_scores` keeps them; {} of a run that diverged.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    lines: Sequence[Mapping[str, float]]
    means: Mapping[str, np.ndarray]
    kept: Mapping[str, Any]

    @property
    def report(self) -> Experiment:
        return EXPERIMENTS[self.name]

    @property
    def epoch(self) -> int:
        """The last; 0 of a run that diverged before it had logged one."""
        return int(max(self.means["epoch"], default=0))

    @property
    def rate(self) -> float:
        """Images per second of steps, over the whole run; nan as `epoch`."""
        if not self.epoch:
            return math.nan
        return self.lines[-1]["images"] / step_seconds(self.lines, self.config["batch_size"])

    @property
    def gflops(self) -> float:
        """Operations of the networks per second, in 10^9."""
        return self.facts["flops"] * self.rate / 1e9

    def at(self, metric: str, epoch: int) -> float:
        """A metric's mean over an epoch; nan if it was not reached."""
        epochs = self.means["epoch"].tolist()
        if metric not in self.means or epoch not in epochs:
            return math.nan
        return float(self.means[metric][epochs.index(epoch)])

    def readings(self, metric: str) -> list[Reading]:
        """The report's values up to the epoch that the run came to."""
        said = self.report.readings.get(metric, ())
        return [reading for reading in said if reading[0] <= self.epoch]

    def score(self, name: str) -> tuple[float, float]:
        """A score and its floor; nan where there is none."""
        for score in self.kept.get("scores", ()):
            if score["name"] == name:
                return tuple(math.nan if x is None else x for x in (score["value"], score["floor"]))
        return math.nan, math.nan

    def findings(self) -> tuple[Finding, ...]:
        """What the run's own health report says at its end."""
        lost = self.facts["diverged"]
        if lost is not None:
            return (health.not_finite(lost, self.config["batch_size"]),)
        by_chance = health.chance(make_gan(self.config), self.config["batch_size"])
        of_log = health.diagnose(health.recent(self.lines), by_chance)
        return health.together(of_log, self._judged())

    def _judged(self) -> tuple[Finding, ...]:
        scores = {score["name"]: score for score in self.kept["scores"]}
        values, floors = ({n: s[key] for n, s in scores.items()} for key in ("value", "floor"))
        return health.judged(values, floors, int(self.lines[-1]["images"]), self.kept["steps"])

    def grids(self) -> dict[int, Path]:
        """Pictures of its sixteen latents, by epoch."""
        paths = sorted((self.folder / GRIDS).glob("*.png"))
        return {int(path.stem): path for path in paths if path.stem.isdigit()}


def read(folder: Path) -> list[Found]:
    """The experiments in a folder that came to their end.

    Raises:
      UserError: there are none.
    """
    found = [_read(folder / name, name) for name in EXPERIMENTS if (folder / name / FACTS).exists()]
    if not found:
        raise UserError(
            f"no experiment in {folder} came to its end; train some by "
            "python -m benchmarks.reproduction run"
        )
    return found


def _read(folder: Path, name: str) -> Found:
    facts = json.loads((folder / FACTS).read_text())
    lines = metrics.read_lines(folder)
    scores = folder / scores_file.SCORES_FILE
    kept = json.loads(scores.read_text()) if facts["diverged"] is None else {}
    means = plots.epoch_means(lines)
    return Found(name, folder, config_file.read_config(folder), facts, lines, means, kept)
