"""Judges damaged images in the feature spaces that were tried, at three sizes.

    python -m benchmarks.judging --data photos/     or fish, or letters, which are drawn

The encoder is trained on three fifths of the images; `--count` of another fifth are damaged and
compared with as many of the last fifth. `benchmarks/judging/orders.py` says which pairs of damages
are ordered. With `--samples=FOLDER` the files early.npy, middle.npy and late.npy in
FOLDER/28, FOLDER/70 and FOLDER/140 are judged as well: uint8 [N, H, W, 3], of a run at three ages.
"""

import argparse
import functools
from pathlib import Path

import numpy as np

from benchmarks import arguments
from benchmarks.judging import bank
from benchmarks.judging.candidates import FIXED
from benchmarks.judging.oracles import dino_v2, efficientnet, inception_v3
from fish_jax.evaluation.features import space

SIZES = {28: 64, 70: 160, 140: 320}  # widths by heights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fish", help="a folder of images, or fish, or letters")
    parser.add_argument("--heights", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--count", type=arguments.count, default=400, help="images on each side")
    parser.add_argument("--samples", type=Path, help="a folder of samples")
    parser.add_argument("--inception", type=Path, help="a file of InceptionV3's weights")
    parser.add_argument("--dinov2", type=Path, help="a file of DINOv2's weights")
    parser.add_argument("--efficientnet", action="store_true", help="see oracles.py")
    options = parser.parse_args()
    oracles: dict[str, bank.Extract] = {}
    if options.inception:
        oracles["InceptionV3"] = inception_v3(options.inception)
    if options.dinov2:
        oracles["DINOv2"] = dino_v2(options.dinov2)
    if options.efficientnet:
        oracles["EfficientNet-lite0"] = efficientnet()
    for height in options.heights:
        width = SIZES[height]
        sides = bank.load(options.data, height, width)
        count = min(options.count, len(sides.held_out))
        samples = options.samples / str(height) if options.samples else None
        made = bank.damaged(sides, count, samples)
        seen = np.arange(len(sides.train)) >= len(sides.held_out)  # as `real_images.divide` does
        fitted = space.fit(sides.train, seen, seed=0)
        print(
            f"{options.data}, {height} x {SIZES[height]}: {len(sides.train)} real, {count} judged"
        )
        learnt = {fitted.name: functools.partial(space.extract, fitted)}
        for name, extract in (FIXED | oracles | learnt).items():
            found = bank.table(extract, sides.train[:count], made)
            print(*bank.lines(name, found, height), sep="\n", flush=True)


if __name__ == "__main__":
    main()
