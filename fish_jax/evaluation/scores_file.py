"""The scores that a run folder keeps: scores.json."""

import json
from pathlib import Path
from typing import Any

from fish_jax.evaluation import scores
from fish_jax.utils.files import replacing, without_nan

SCORES_FILE = "scores.json"  # in the folder of a run


def write_scores(folder: Path, judgement: scores.Judgement, averaged: bool) -> None:
    """Keeps scores of a run in its folder, in place of those that were there.

    Raises:
      OSError: they cannot be written; names the file.
    """
    scores = [without_nan(score._asdict()) for score in judgement.scores]
    fields = {"steps": judgement.steps, "averaged": averaged, "protocol": judgement.protocol}
    with replacing(folder / SCORES_FILE) as file:
        file.write(json.dumps(fields | {"scores": scores}, indent=2).encode())


def read_scores(folder: Path, steps: int, averaged: bool) -> dict[str, Any] | None:
    """What `write_scores` kept, if that is of this checkpoint, drawn with these weights."""
    try:
        kept = json.loads((folder / SCORES_FILE).read_text())
        return kept if (kept["steps"], kept["averaged"]) == (steps, averaged) else None
    except (OSError, KeyError, TypeError, ValueError):
        return None
