"""The arithmetic of the study of what scores see."""

import numpy as np

from benchmarks import judge_behaviour
from benchmarks.judge_behaviour import Photos, Row
from fish_jax.data.synthetic import drawing
from fish_jax.evaluation.scores import SCORES


def row(damage, value, **others):
    return Row(damage, str(value), {name: float(others.get(name, value)) for name in SCORES})


def test_what_is_seen_and_in_order():
    """The floor is 10 +- 1; higher is worse for distances, lower for precision."""
    rows = [row("none", 9), row("none", 10), row("none", 11)]
    rows += [row("blur", 14), row("blur", 15), row("noise", 13), row("noise", 11.5)]
    rows += [row("crop", 14), row("crop", 13.5)]
    verdict = lambda name, damage: judge_behaviour.verdict(rows, name, damage)
    assert verdict("frechet", "blur") == (True, True)
    assert verdict("precision", "blur") == (False, False)
    assert verdict("frechet", "noise") == (False, False)
    assert verdict("frechet", "crop") == (True, True)  # a step back within the floor's deviation
    lines = judge_behaviour.table(rows)
    assert lines[2].startswith("| none | 10 ± 1 |") and len(lines) == 3 + 6
    assert lines[3].startswith("| blur, 14 | 14* |") and "| 14 | 14 |" in lines[3]


def test_misses_are_told():
    rows = [row("none", 9), row("none", 10), row("none", 11)]
    for damage in judge_behaviour.MUST_SEE:
        for level in (1, 2):
            values = {name: 10 + sign * 4 * level for name, sign in judge_behaviour.WORSE.items()}
            rows.append(row(damage, level, **values))
    assert judge_behaviour.misses(rows) == []
    blur = rows.index(next(one for one in rows if one.damage == "blur"))
    rows[blur + 1].scores["kernel"] = 9.5
    assert judge_behaviour.misses(rows) == [
        "kernel distance does not see the strongest blur",
        "kernel distance is not in order of blur",
        "kernel distance: blur, 2, is below the floor, 9.5 < 10",
    ]


def test_damaged_images_are_what_they_say():
    fish = drawing.draw_school(80, 28, 64)
    styles = np.array(["a"] * 20 + ["b"] * 10 + ["c", "d"] * 3 + ["e"] * 4)
    photos = Photos(fish[:40], fish[40:], styles, "letters")
    held = np.arange(4, 24)
    made = list(judge_behaviour.damaged(photos, held, 0))
    assert len(made) == 3 * len(judge_behaviour.MUST_SEE)
    assert all(images.shape == (20, 28, 64, 3) and images.dtype == np.uint8 for *_, images in made)
    unique = lambda images: {image.tobytes() for image in images}
    numbers = [len(unique(images)) for damage, _, images in made if damage == "duplicates"]
    assert numbers == [10, 4, 1]
    train = unique(photos.train)
    copied = [len(unique(images) & train) for damage, _, images in made if damage == "copied"]
    assert copied == [2, 10, 20]
    mirrored = [unique(images[:, :, ::-1]) & train for damage, _, images in made[-3:]]
    assert [len(shared) for shared in mirrored] == [2, 10, 20]
    kept = [unique(images) for damage, _, images in made if damage == "styles"]
    assert kept[2] == unique(photos.held_out[:20]) and kept[1] <= unique(photos.held_out[:30])
