"""Writes the metrics of a run: metrics.jsonl, TensorBoard, plots, progress bar, health checks."""

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from fish_jax.evaluation.scores import kind_of
from fish_jax.gan.config_schema import BEST
from fish_jax.runs import health, layout, metrics, tensorboard
from fish_jax.training import estimate, plots
from fish_jax.training.context import LogInterval, Run
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.messages import rounded
from fish_jax.utils.terminal import advance, announce


class MetricsWriter:
    """The metrics since the last logged line, and the recent lines for the health checks.

    Args:
      run: what no step changes.
      step: number of steps done before.
      interval: metrics summed before, for the next line.
    """

    def __init__(self, run: Run, step: int, interval: LogInterval) -> None:
        self.run, self.interval = run, interval
        before = metrics.read_lines(run.folder, step) if run.board is not None else ()
        self._recent = health.recent(before)
        self._score = run.config["keep_best"] or "frechet"  # which the bar shows
        self._key = metrics.SCORES + self._score
        self._scored = [line for line in before if self._key in line]
        self._findings = self._diagnose()

    def _diagnose(self) -> tuple[health.Finding, ...]:
        better, title = BEST[self._score], kind_of(self._score).title
        stale = health.stagnation(self._scored, self._key, better, title)
        return (*health.diagnose(self._recent, self.run.chance), *stale)

    def add(self, history: Mapping[str, np.ndarray], seconds: float) -> None:
        """Adds the metrics of a call to the sums of the next line.

        Args:
          history: metrics of each step, float32 [K] by name, and `finite`, bool [K].
          seconds: that the call took.
        """
        sums, count, before = self.interval
        sums = dict(sums)  # a checkpoint may be writing the old ones
        for name, values in history.items():
            if name != "finite":
                # One by one, so that a sum does not depend on how steps were grouped into calls.
                for value in values:
                    sums[name] = sums.get(name, 0.0) + float(value)
        self.interval = LogInterval(sums, count + len(history["finite"]), before + seconds)

    def write(
        self, step: int, drawn: Mapping[str, np.ndarray], scores: Mapping[str, float]
    ) -> None:
        """Logs a line of mean metrics, and announces health findings that came or went.

        Args:
          step: the last step of the line.
          drawn: pictures of the state after it; empty where none are due.
          scores: the scores of that state, by name; empty where it was not evaluated.
        """
        run, (sums, count, seconds) = self.run, self.interval
        self.interval = LogInterval({}, 0, 0.0)
        if run.board is None:
            return
        rate = {"images_per_second": count * run.epochs.batch_size / max(seconds, 1e-9)}
        means = {name: total / count for name, total in sums.items()}
        if drawn:
            means["diversity"] = health.diversity(drawn[layout.SAMPLES]) / run.diversity
        means |= {metrics.SCORES + name: value for name, value in scores.items()}
        line = {
            "step": step,
            "epoch": run.epochs.done(step - 1) + 1,
            "images": step * run.epochs.batch_size,
            "steps": count,
            **means,
            **rate,
        }
        metrics.append_metrics(run.folder, line)
        tensorboard.add_scalars(run.board, means | rate, step)
        LOGGER.info("step %d", step)
        self._recent = health.recent([*self._recent, line])
        if self._key in line:
            self._scored.append(line)
        before, self._findings = self._findings, self._diagnose()
        names = [finding.name for finding in self._findings]
        for finding in self._findings:
            if finding.name not in [old.name for old in before]:
                announce(f"step {step}: {finding.text}")
        for finding in before:
            if finding.name not in names:
                announce(f"step {step}: {finding.name} resolved")
        if run.callbacks.on_log is not None:
            run.callbacks.on_log(step, dict(line))

    def show(self, bar: tqdm, history: Mapping[str, np.ndarray], step: int) -> None:
        """Updates the progress bar after a call.

        Args:
          bar: counts images.
          history: metrics of each step of the call.
          step: the last step of the call.
        """
        run, levels, count = self.run, self.run.levels, len(history["finite"])
        epoch, seen = run.epochs.done(step - 1) + 1, step * run.epochs.batch_size
        number = sum(level.start < seen for level in levels)
        level, left = levels[number - 1], estimate.remaining_flops(levels, seen, run.epochs.seen)
        place = f"level {number}/{len(levels)}, " if len(levels) > 1 else ""
        bar.set_description_str(f"{place}epoch {epoch}/{run.epochs.total}", refresh=False)
        losses = f"D {history['d_loss'][-1]:.4f} G {history['g_loss'][-1]:.4f}"
        words = [losses, *self._scores(), *(finding.name for finding in self._findings)]
        bar.set_postfix_str(", ".join(words), refresh=False)
        advance(bar, count * run.epochs.batch_size, left / level.flops)

    def _scores(self) -> list[str]:
        """The last and the best value of the score for the bar; none before the first."""
        if not self._scored:
            return []
        last, best = self._scored[-1], health.best_line(self._scored, self._key, BEST[self._score])
        text = f"{kind_of(self._score).title} {rounded(last[self._key])}"
        return [text, f"best {rounded(best[self._key])}"] if best is not last else [text]

    def plot(self) -> None:
        """Plots the logged metrics over the epochs."""
        run = self.run
        lines = metrics.read_lines(run.folder) if run.board is not None else []
        if not lines:
            return
        title = f"{run.config['name']}, {run.config['height']} x {run.config['width']}"
        with phase("plotting"):
            plots.plot_losses(run.folder / "losses.png", lines, title)
            if "m_global" in lines[0]:
                plots.plot_equilibrium(run.folder / "equilibrium.png", lines, title)
            if self._scored and run.scorer:  # there are no baselines to draw without it
                floors = run.scorer.floors
                plots.plot_scores(run.folder / "scores.png", self._scored, floors, title)
