"""The file scores.json in a run's folder: the scores of one checkpoint."""

import json
import math
from pathlib import Path
from typing import Any

from fish_jax.evaluation.scores import Judgement, Score, kind_of
from fish_jax.utils import json_text
from fish_jax.utils.files import without_nan, write_text

SCORES_FILE = "scores.json"


def write_scores(folder: Path, judgement: Judgement, averaged: bool) -> None:
    """Writes the scores of a run's checkpoint to its folder, in place of earlier ones.

    Args:
      folder: the folder of the run.
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
      folder: the folder of the run.
      steps: the steps of the checkpoint.
      averaged: as in `write_scores`.

    Returns:
      The fields as `write_scores` wrote them, of JSON's types; None if there is no file of this
      checkpoint and these weights, or one that `write_scores` did not write.
    """
    try:
        found = json_text.read(folder / SCORES_FILE)
        if (found["steps"], found["averaged"]) != (steps, averaged):
            return None
        fields = {"steps": steps, "averaged": averaged, "protocol": found["protocol"]}
        fields["scores"] = [_checked(score) for score in found["scores"]]
        # As the server answers; letters that are no UTF-8 raise a ValueError.
        json.dumps(fields, ensure_ascii=False).encode()
        return fields if isinstance(fields["protocol"], str) else None
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        return None


def _checked(score: dict[str, Any]) -> dict[str, Any]:
    """The fields of a score: a name that is known, and finite numbers or None."""
    name, *numbers = Score(**score)
    kind_of(name)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} has a number that is not finite")
    return score
