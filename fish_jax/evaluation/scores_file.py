"""The file scores.json in a run's folder: the scores of one checkpoint."""

import json
from pathlib import Path
from typing import Any

from fish_jax.evaluation.scores import Judgement
from fish_jax.utils.files import without_nan, write_text

SCORES_FILE = "scores.json"


def write_scores(folder: Path, judgement: Judgement, averaged: bool) -> None:
    """Writes the scores of a run's checkpoint to its folder, in place of earlier ones.

    Args:
      folder: of the run.
      judgement: the scores.
      averaged: whether the images were rendered with the average of the generator's weights.

    Raises:
      OSError: they cannot be written; names the file.
    """
    scores = [without_nan(score._asdict()) for score in judgement.scores]
    fields = {"steps": judgement.steps, "averaged": averaged, "protocol": judgement.protocol}
    write_text(folder / SCORES_FILE, json.dumps(fields | {"scores": scores}, indent=2))


def read_scores(folder: Path, steps: int, averaged: bool) -> dict[str, Any] | None:
    """Reads the scores of a run's checkpoint.

    Args:
      folder: of the run.
      steps: of the checkpoint.
      averaged: as of `write_scores`.

    Returns:
      The fields of the file; None if there is no readable one of this checkpoint and these weights.
    """
    try:
        found = json.loads((folder / SCORES_FILE).read_text())
        return found if (found["steps"], found["averaged"]) == (steps, averaged) else None
    except (OSError, KeyError, TypeError, ValueError):
        return None
