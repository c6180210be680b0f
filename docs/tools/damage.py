"""Damages drawn fish and shows them, for docs/evaluation.md and docs/losses.md.

python docs/tools/damage.py             writes docs/pictures/damage-NAME.png and augment.png
python docs/tools/damage.py --scores    prints what each score says of the same damages
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.judging.damages import DAMAGES  # noqa: E402
from benchmarks.photographs import to_pixels  # noqa: E402
from fish_jax.data import augment  # noqa: E402
from fish_jax.data.images import load_images  # noqa: E402
from fish_jax.data.synthetic.drawing import draw_school  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
SIZE = 56, 128  # height and width of a fish, pixels
COLUMNS = 4
MARGIN, GAP = 128, 4  # pixels left of the fish for the label, and between fish
COLOURS = 96  # of a picture's palette, which keeps the files small
FISH = 1000  # drawn for the scores, a fifth of them held out
SCORED = 28, 64  # their height and width

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def collapsed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image again and again, each with a little noise: a collapsed generator."""
    one = np.broadcast_to(images[:1], images.shape)
    return to_pixels(one + rng.normal(0, 4, images.shape))


# Rows of each picture: a label and a damage by its name in the bank of damages.
SOFT = {
    "sound": DAMAGES["none"],
    "blur": DAMAGES["blur 1/23"],
    "quarter size": DAMAGES["down 4"],
    "noise": DAMAGES["noise 25"],
}
TORN = {
    "sound": DAMAGES["none"],
    "two blended": DAMAGES["blend 50 %"],
    "two halves": DAMAGES["halves"],
    "blocks shuffled": DAMAGES["blocks 1/2"],
    "bent": DAMAGES["warp 1/14"],
}
FEW = {
    "sound": DAMAGES["none"],
    "few kinds": DAMAGES["copies 40"],
    "collapse": collapsed,
}


def picture(rows: dict[str, np.ndarray]) -> Image.Image:
    """Puts rows of images, uint8 [N, H, W, 3] by label, on one white page."""
    height, width = SIZE
    page = Image.new(
        "RGB", (MARGIN + COLUMNS * (width + GAP), len(rows) * (height + GAP) - GAP), "white"
    )
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for index, (label, images) in enumerate(rows.items()):
        top = index * (height + GAP)
        pen.text((4, top + height / 2), label, "#333333", font, anchor="lm")
        for column, image in enumerate(images[:COLUMNS]):
            page.paste(Image.fromarray(image), (MARGIN + column * (width + GAP), top))
    return page


def damaged(fish: np.ndarray, damages: dict[str, Damage]) -> dict[str, np.ndarray]:
    """The same fish with each damage, by label."""
    return {
        label: damage(fish, np.random.default_rng(index))
        for index, (label, damage) in enumerate(damages.items())
    }


def few_kinds(fish: np.ndarray) -> dict[str, np.ndarray]:
    """Two kinds of fish where there were four, then one."""
    rows = damaged(fish, FEW)
    return rows | {"few kinds": np.concatenate([fish[:2], fish[:2]])}


def copied(fish: np.ndarray) -> dict[str, np.ndarray]:
    """Training images, a copy of each, a mirrored copy, and fish that are no copies."""
    return {
        "training image": fish[:COLUMNS],
        "copy": DAMAGES["jpeg 30"](fish[:COLUMNS], np.random.default_rng(0)),
        "mirrored copy": fish[:COLUMNS, :, ::-1],
        "no copy": fish[COLUMNS : 2 * COLUMNS],
    }


def augmented(fish: np.ndarray) -> dict[str, np.ndarray]:
    """What D sees of a batch under each policy of DiffAugment."""
    images = fish[:COLUMNS].astype(np.float32) / 127.5 - 1
    rows = {"no augmentation": fish[:COLUMNS]}
    for name in ("color", "translation", "cutout"):
        keys = jax.random.split(jax.random.key(3), COLUMNS)
        seen = np.asarray(augment.augment(images, keys, [name]))
        rows[name] = to_pixels((seen + 1) * 127.5)
    return rows


def main(folder: Path = PICTURES) -> list[Path]:
    """Draws all pictures; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    fish = draw_school(2 * COLUMNS, *SIZE)
    pictures = {
        "damage-soft": damaged(fish, SOFT),
        "damage-torn": damaged(fish, TORN),
        "damage-few": few_kinds(fish),
        "damage-copies": copied(fish),
        "augment": augmented(fish),
    }
    paths = []
    for name, rows in pictures.items():
        paths.append(folder / f"{name}.png")
        page = picture(rows).quantize(COLOURS, dither=Image.Dither.NONE)
        page.save(paths[-1], optimize=True)
    return paths


def table(count: int = FISH) -> str:
    """Scores held-out fish with each damage; a Markdown table. Trains the encoder first."""
    from fish_jax.configs import default
    from fish_jax.evaluation.evaluate import read_references
    from fish_jax.evaluation.judge import judge
    from fish_jax.evaluation.scores import SCORES

    images = load_images("", *SCORED, holdout=0.2, count=count)
    references = read_references(default.get_config().to_dict(), images)
    sound, known = images.holdout[: references.count], images.train[: references.count]
    made = damaged(sound, SOFT | TORN | FEW)
    made |= {"copies of training images": known, "mirrored copies": known[:, :, ::-1]}
    found = {}
    for label, fakes in made.items():
        scores = judge(references, np.ascontiguousarray(fakes)).scores
        found[label] = {score.name: score.value for score in scores}
    found["real images"] = references.floors
    lines = [f"| | {' | '.join(SCORES)} |", "|---|" + "--:|" * len(SCORES)]
    for label, values in found.items():
        lines.append(f"| {label} | {' | '.join(f'{values[name]:.3g}' for name in SCORES)} |")
    return "\n".join([*lines, "", references.protocol])


if __name__ == "__main__":
    if "--scores" in sys.argv[1:]:
        print(table())
    else:
        for path in main():
            print(path.relative_to(ROOT))
