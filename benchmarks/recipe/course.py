"""The course of one contestant, in a process of its own: it trains, and draws samples at marks.

    python -m benchmarks.recipe.course NAME SEED MINUTES DATA FOLDER

The clock starts with the process: imports, decoding, compilation and previews count; drawing the
samples of marks does not.
"""

import contextlib
import importlib
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from ml_collections import ConfigDict

from benchmarks.recipe import tutorial
from fish_jax.data.dataset import load_data
from fish_jax.errors import Diverged, Stopped
from fish_jax.gan import inference
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import TrainState
from fish_jax.runs import sampling
from fish_jax.training.context import Callbacks
from fish_jax.training.train import train
from fish_jax.utils import malloc
from fish_jax.utils.files import write_text

MARKS = (2, 5, 10, 20, 30, 40, 50)  # minutes after which samples are drawn, and at the end
COUNT = 574  # samples
COURSE = "course.json"  # minutes and images of each mark
DONE = "done"  # an empty file, of a contestant whose time is over
FOREVER = 100_000  # epochs of networks that the time ends


class Clock:
    """Minutes since the process began, less those of drawing; and the marks that were passed.

    Args:
      folder: where samples are written.
    """

    def __init__(self, folder: Path) -> None:
        self._began = psutil.Process().create_time()
        self._folder, self._marks = folder, []
        self._folder.mkdir(parents=True, exist_ok=True)

    def minutes(self) -> float:
        return (time.time() - self._began) / 60

    def due(self) -> bool:
        """Whether a mark was passed that no samples are drawn of."""
        passed = sum(self.minutes() >= mark for mark in MARKS)
        drawn = sum(entry["minutes"] >= mark for mark in MARKS for entry in self._marks[-1:])
        return passed > drawn

    def draw(self, images: int, render: Callable[[], np.ndarray]) -> None:
        """Writes samples after so many images, and takes the time of it off the clock."""
        entry = {"minutes": round(self.minutes(), 2), "images": images}
        start = time.time()
        np.save(self._folder / f"{len(self._marks)}.npy", render())
        self._marks.append(entry)
        write_text(self._folder / COURSE, json.dumps(self._marks))
        self._began += time.time() - start


def configured(name: str, seed: int, data: str) -> ConfigDict:
    """The config of a contestant, on full-size images of which a fifth is held out."""
    package = "benchmarks.recipe" if name == "flat" else "fish_jax.configs"
    config = importlib.import_module(f"{package}.{name}").get_config()
    config.seed, config.data.path, config.data.holdout = seed, data, 0.2
    if not config.images:
        config.epochs = FOREVER
    return config


def train_config(config: ConfigDict, minutes: float, folder: Path) -> None:
    """Trains until the config's images or the minutes are over, and draws samples at marks."""
    clock, gan = Clock(folder), make_gan(config)
    batch = config.batch_size

    def look(epoch: int, state: TrainState, samples: object) -> None:
        if clock.due():
            clock.draw(int(state.step) * batch, lambda: inference.render(gan, state, range(COUNT)))

    late = lambda: signal.SIGTERM if clock.minutes() >= minutes else 0
    callbacks = Callbacks(on_epoch=look, epochs=range(1, FOREVER), stopped=late)
    with contextlib.suppress(Stopped, Diverged):
        train(config, folder / "run", callbacks=callbacks)
    gan, state = sampling.load(folder / "run", True)
    clock.draw(int(state.step) * batch, lambda: inference.render(gan, state, range(COUNT)))


def main() -> None:
    malloc.keep_pages()  # as main.py does; of all contestants
    name, seed, minutes, data, folder = sys.argv[1:]
    if name.startswith("tutorial"):
        images = load_data(configured("best", int(seed), data)).train
        side, clock = int(name.split("-")[1]), Clock(Path(folder))
        tutorial.train(images, side, int(seed), float(minutes), clock)
    else:
        train_config(configured(name, int(seed), data), float(minutes), Path(folder))
    (Path(folder) / DONE).touch()


if __name__ == "__main__":
    main()
