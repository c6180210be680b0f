"""What scores are, by name."""

import pytest

from fish_jax.evaluation.scores import Judgement, Score, kind_of


def test_scores_of_older_runs_stay_readable():
    judgement = Judgement((Score("density", 0.4, 0.9), Score("at_28_x_64", 3.0, 1.0)), "a protocol")
    density, level = judgement.table().splitlines()[1:3]
    assert density.startswith("density ") and density.endswith(" higher")
    assert level.startswith("  at 28 x 64 ") and level.endswith(" lower")
    with pytest.raises(KeyError):
        kind_of("sharpness")
