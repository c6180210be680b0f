"""What a run writes and says of itself: lines of its log, its bar, its plots, and its health."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fish_jax.runs import health, metrics, tensorboard
from fish_jax.runs.health import Finding
from fish_jax.training import plots
from fish_jax.training.context import Interval, Run, epochs_done
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.terminal import announce


class MetricsWriter(NamedTuple):
    """What is written of a run so far, as far as the next line needs it.

    Attributes:
      interval: of the next line.
      recent: the last lines.
      findings: what they say of the run's health.
    """

    interval: Interval
    recent: tuple[Mapping[str, float], ...] = ()
    findings: tuple[Finding, ...] = ()


def begin(run: Run, step: int, interval: Interval) -> MetricsWriter:
    """The journal of a run that goes on after a step.

    Args:
      run: what no step changes.
      step: the last that was done.
      interval: of the next line, as far as it was summed before.
    """
    if run.board is None:
        return MetricsWriter(interval)
    lines = health.recent(metrics.read_metrics(run.folder, step))
    return MetricsWriter(interval, lines, health.diagnose(lines, run.norms.chance))


def add(journal: MetricsWriter, history: Mapping[str, np.ndarray], seconds: float) -> MetricsWriter:
    """Sums what a call gave.

    Args:
      journal: of the run.
      history: metrics of each step.
      seconds: that the call took.
    """
    sums, count, before = journal.interval
    sums = dict(sums)
    for name, values in history.items():
        if name != "finite":
            # One by one, so that a sum does not depend on how steps were grouped into calls.
            for value in values:
                sums[name] = sums.get(name, 0.0) + float(value)
    interval = Interval(sums, count + len(history["finite"]), before + seconds)
    return journal._replace(interval=interval)


def write(
    run: Run, journal: MetricsWriter, step: int, drawn: Mapping[str, np.ndarray]
) -> MetricsWriter:
    """Ends a line, and says what is new of the run's health.

    Args:
      run: what no step changes.
      journal: with the line's sums.
      step: the last of the line.
      drawn: pictures of the state after it; none if none were due.
    """
    interval = journal.interval
    journal = journal._replace(interval=Interval({}, 0, 0.0))
    if run.board is None:
        return journal
    images = interval.count * run.config["batch_size"]
    rate = {"images_per_second": images / max(interval.seconds, 1e-9)}
    means = {name: total / interval.count for name, total in interval.sums.items()}
    if drawn:
        means["diversity"] = health.diversity(drawn["samples"]) / run.norms.diversity
    line = {
        "step": step,
        "epoch": epochs_done(run, step - 1) + 1,
        "images": step * run.config["batch_size"],
        "steps": interval.count,
        **means,
        **rate,
    }
    metrics.append_metrics(run.folder, line)
    tensorboard.add_scalars(run.board, means | rate, step)
    LOGGER.info("step %d", step)
    lines = health.recent([*journal.recent, line])
    findings = health.diagnose(lines, run.norms.chance)
    _announce_changes(journal.findings, findings, step)
    return journal._replace(recent=lines, findings=findings)


def _announce_changes(before: Sequence[Finding], now: Sequence[Finding], step: int) -> None:
    """Says which findings are new, and which are gone."""
    names = [finding.name for finding in now]
    for finding in now:
        if finding.name not in [old.name for old in before]:
            announce(f"step {step}: {finding.text}")
    for finding in before:
        if finding.name not in names:
            announce(f"step {step}: no more {finding.name}")


def plot(run: Run) -> None:
    """Draws the log over the epochs."""
    if run.board is None:
        return
    lines = metrics.read_metrics(run.folder)
    if not lines:
        return
    title = f"{run.config['name']}, {run.config['height']} x {run.config['width']}"
    with phase("plotting"):
        plots.plot_losses(run.folder / "losses.png", lines, title)
        if "m_global" in lines[0]:
            plots.plot_equilibrium(run.folder / "equilibrium.png", lines, title)


def show(
    run: Run, journal: MetricsWriter, bar: tqdm, history: Mapping[str, np.ndarray], step: int
) -> None:
    """Moves the bar on to a step, the last of a call that gave `history`."""
    epoch = epochs_done(run, step - 1) + 1
    bar.set_description_str(f"epoch {epoch}/{run.config['epochs']}", refresh=False)
    losses = f"D {history['d_loss'][-1]:.4f} G {history['g_loss'][-1]:.4f}"
    words = [losses, *(finding.name for finding in journal.findings)]
    bar.set_postfix_str(", ".join(words), refresh=False)
    bar.update(len(history["finite"]) * run.config["batch_size"])
