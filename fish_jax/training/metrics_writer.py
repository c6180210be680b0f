"""Writes the metrics of a run: metrics.jsonl, TensorBoard, plots, progress bar, health checks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fish_jax.runs import health, layout, metrics, tensorboard
from fish_jax.runs.health import Finding
from fish_jax.training import plots
from fish_jax.training.context import LogInterval, Run
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.terminal import announce


class MetricsWriter(NamedTuple):
    """The metrics since the last logged line, and the recent lines for the health checks.

    Attributes:
      interval: metrics summed for the next line.
      recent: the last lines, which the health checks look back on.
      findings: of the health checks on these lines.
    """

    interval: LogInterval
    recent: tuple[Mapping[str, float], ...] = ()
    findings: tuple[Finding, ...] = ()


def begin(run: Run, step: int, interval: LogInterval) -> MetricsWriter:
    """Makes the writer of a run that starts or resumes.

    Args:
      run: what no step changes.
      step: number of steps done.
      interval: metrics summed before, for the next line.

    Returns:
      The writer.
    """
    if run.board is None:
        return MetricsWriter(interval)
    lines = health.recent(metrics.read_metrics(run.folder, step))
    return MetricsWriter(interval, lines, health.diagnose(lines, run.baselines.chance))


def add(writer: MetricsWriter, history: Mapping[str, np.ndarray], seconds: float) -> MetricsWriter:
    """Adds the metrics of a call to the sums of the next line.

    Args:
      writer: of the run.
      history: metrics of each step, float32 [K] by name, and `finite`, bool [K].
      seconds: that the call took.

    Returns:
      The writer with the new sums.
    """
    sums, count, before = writer.interval
    sums = dict(sums)
    for name, values in history.items():
        if name != "finite":
            # One by one, so that a sum does not depend on how steps were grouped into calls.
            for value in values:
                sums[name] = sums.get(name, 0.0) + float(value)
    interval = LogInterval(sums, count + len(history["finite"]), before + seconds)
    return writer._replace(interval=interval)


def write(
    run: Run, writer: MetricsWriter, step: int, drawn: Mapping[str, np.ndarray]
) -> MetricsWriter:
    """Logs a line of mean metrics, and announces health findings that appeared or disappeared.

    Args:
      run: what no step changes.
      writer: with the sums of the line.
      step: the last step of the line.
      drawn: pictures of the state after it; empty where none are due.

    Returns:
      The writer with empty sums.
    """
    interval = writer.interval
    writer = writer._replace(interval=LogInterval({}, 0, 0.0))
    if run.board is None:
        return writer
    images = interval.count * run.config["batch_size"]
    rate = {"images_per_second": images / max(interval.seconds, 1e-9)}
    means = {name: total / interval.count for name, total in interval.sums.items()}
    if drawn:
        means["diversity"] = health.diversity(drawn[layout.SAMPLES]) / run.baselines.diversity
    line = {
        "step": step,
        "epoch": run.epochs.done(step - 1) + 1,
        "images": step * run.config["batch_size"],
        "steps": interval.count,
        **means,
        **rate,
    }
    metrics.append_metrics(run.folder, line)
    tensorboard.add_scalars(run.board, means | rate, step)
    LOGGER.info("step %d", step)
    lines = health.recent([*writer.recent, line])
    findings = health.diagnose(lines, run.baselines.chance)
    _announce_changes(writer.findings, findings, step)
    return writer._replace(recent=lines, findings=findings)


def _announce_changes(before: Sequence[Finding], now: Sequence[Finding], step: int) -> None:
    """Announces findings that appeared and findings that disappeared."""
    names = [finding.name for finding in now]
    for finding in now:
        if finding.name not in [old.name for old in before]:
            announce(f"step {step}: {finding.text}")
    for finding in before:
        if finding.name not in names:
            announce(f"step {step}: no more {finding.name}")


def plot(run: Run) -> None:
    """Plots the logged metrics over the epochs."""
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
    run: Run, writer: MetricsWriter, bar: tqdm, history: Mapping[str, np.ndarray], step: int
) -> None:
    """Updates the progress bar after a call.

    Args:
      run: what no step changes.
      writer: of the run, for its health findings.
      bar: counts images.
      history: metrics of each step of the call.
      step: the last step of the call.
    """
    epoch = run.epochs.done(step - 1) + 1
    bar.set_description_str(f"epoch {epoch}/{run.config['epochs']}", refresh=False)
    losses = f"D {history['d_loss'][-1]:.4f} G {history['g_loss'][-1]:.4f}"
    words = [losses, *(finding.name for finding in writer.findings)]
    bar.set_postfix_str(", ".join(words), refresh=False)
    bar.update(len(history["finite"]) * run.config["batch_size"])
