"""Trains on a column of a Hugging Face data set: here the drawn fish, kept on disk as PNG files.

    pip install datasets
    python docs/examples/hugging_face.py

Of a column nothing is used but its length and its items, so the images of any data set will do.
"""

from pathlib import Path

import datasets
from PIL import Image

import fish_jax


def fish_table(folder: Path, count: int) -> datasets.Dataset:
    """Draws fish, writes them to a folder, and makes a data set with the column "image" of them."""
    drawn = fish_jax.load_images("", 28, 64, count=count)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{name}.png") for name in drawn.train_names]
    for path, pixels in zip(paths, drawn.train, strict=True):
        Image.fromarray(pixels).save(path)
    return datasets.Dataset.from_dict({"image": paths}).cast_column("image", datasets.Image())


def main(folder: Path = Path("runs/hugging_face"), count: int = 400) -> None:
    """Trains for two epochs, and resumes for a third one: each start is given the images."""
    table = fish_table(folder / "fish", count)
    config = fish_jax.load_config("ralsgan", "demo")
    for epochs in (2, 3):
        config.epochs = epochs
        fish_jax.train(config, folder / "run", images=table["image"])
    print(fish_jax.read_metrics(folder / "run")["d_loss"])


if __name__ == "__main__":
    main()
