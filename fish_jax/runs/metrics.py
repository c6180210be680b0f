"""metrics.jsonl, the log of a run's metrics: a JSON object per line."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fish_jax.runs import config_file
from fish_jax.runs.layout import METRICS
from fish_jax.utils import json_text
from fish_jax.utils.files import append

# In every line that a run writes, and above 0; readers rely on them.
COUNTS = ("step", "epoch", "images", "steps", "images_per_second")
SCORES = "scores/"  # begins the names of scores, which the lines of evaluated steps have


def append_metrics(folder: Path, line: Mapping[str, float]) -> None:
    """Adds a line to the log; raises OSError and leaves the log as it was if it cannot."""
    append(folder / METRICS, (json.dumps(line) + "\n").encode())


def read_lines(folder: Path, last_step: float = math.inf) -> list[dict[str, float]]:
    """Reads the log up to a step, without lines that a crash cut off or that were damaged.

    Returns:
      Lines of finite numbers by name, `COUNTS` in each.
    """
    if not (folder / METRICS).is_file():
        return []
    texts = (folder / METRICS).read_text(errors="replace").splitlines()
    lines = [line for line in map(_metrics_line, texts) if line]
    return [line for line in lines if line["step"] <= last_step]


def read_metrics(folder: str | Path) -> dict[str, np.ndarray]:
    """Reads the curves of a run, which may still train: a column for each metric.

    Args:
      folder: the folder of the run.

    Returns:
      float64 [lines] by name, nan where a line lacks the metric. `step`, `epoch` and `images` are
      counted at the end of a line, which averages over `steps` steps.

    Raises:
      UserError: the folder holds no run.
    """
    config_file.read_config(Path(folder))
    lines = read_lines(Path(folder))
    names = dict.fromkeys((*COUNTS, *(name for line in lines for name in line)))
    column = lambda name: np.array([line.get(name, math.nan) for line in lines], float)
    return {name: column(name) for name in names}


def _metrics_line(text: str) -> dict[str, float] | None:
    """Parses a line; None for anything that no run wrote."""
    try:
        line = json_text.parse(text)
        sound = all(map(math.isfinite, line.values())) and all(line[name] > 0 for name in COUNTS)
        return line if sound else None
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        return None
