"""What scores are, by name, and the file that keeps those of a run."""

import json

import pytest

from fish_jax.evaluation import scores_file
from fish_jax.evaluation.scores import SCORES, Judgement, Score, kind_of
from fish_jax.gan.config_schema import BEST


def test_scores_of_older_runs_stay_readable():
    judgement = Judgement((Score("density", 0.4, 0.9), Score("at_28_x_64", 3.0, 1.0)), "a protocol")
    density, level = judgement.table().splitlines()[1:3]
    assert density.startswith("density ") and density.endswith(" higher")
    assert level.startswith("  at 28 x 64 ") and level.endswith(" lower")
    with pytest.raises(KeyError):
        kind_of("sharpness")


SCORE = {"name": "recall", "value": 0.5, "floor": 0.75, "low": None, "high": None, "spread": 0.1}
KEPT = {"steps": 7, "averaged": True, "protocol": "of a test", "scores": [SCORE]}


def read_back(folder, kept):
    text = kept if isinstance(kept, str) else json.dumps(kept)
    (folder / scores_file.SCORES_FILE).write_text(text)
    return scores_file.read_scores(folder, 7, True)


def test_scores_come_back(tmp_path):
    nan = float("nan")
    judgement = Judgement(
        (Score("recall", 0.5, 0.75), Score("kernel", nan, 1.0)), "of a test", 0, 7
    )
    scores_file.write_scores(tmp_path, judgement, True)
    (recall, kernel) = scores_file.read_scores(tmp_path, 7, True)["scores"]
    assert (recall["value"], recall["low"], kernel["value"]) == (0.5, None, None)
    assert read_back(tmp_path, KEPT) == KEPT
    assert read_back(tmp_path, KEPT | {"more": float("nan")}) == KEPT


@pytest.mark.parametrize(
    "kept",
    [
        *("", "[]", "7", "null", "{}", "[" * 100_000, "9" * 9000, json.dumps(KEPT)[:-9]),
        {"steps": 7, "averaged": True},
        *(KEPT | {"protocol": text} for text in (None, 7, ["a"], {}, "\ud800")),
        *(KEPT | {"scores": scores} for scores in (None, 7, "ab", [7], [None], [{}], {"a": 1})),
        *(
            KEPT | {"scores": [SCORE | changed]}
            for changed in (
                *({"value": value} for value in (float("nan"), float("inf"), "1", [], {}, 10**400)),
                *({"name": name} for name in ("sharpness", 7, None, [], {}, "at_\ud800")),
                *({"low": "a"}, {"high": float("inf")}, {"floor": []}, {"more": 1}),
            )
        ),
    ],
)
def test_what_is_no_file_of_scores_is_passed_over(tmp_path, kept):
    """The server answers with what is read, and the export prints it."""
    assert read_back(tmp_path, kept) is None


def test_the_scores_that_choose_a_checkpoint_point_the_same_way():
    """All but the alarms, which say nothing of how good images are."""
    assert {name: k.better for name, k in SCORES.items() if k.better != "real"} == BEST
