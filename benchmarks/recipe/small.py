"""The recipe before it grew, at 28 x 64: without each part, beside others, on other images.

The same command resumes, and takes over the runs that another has trained:
`minutes` takes the times of `images`. Each leaves a page in a folder of its own.
"""

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

import fish_jax
from benchmarks import photographs
from benchmarks.letters import draw_letters
from benchmarks.photographs import DRAWN
from benchmarks.recipe import flat
from fish_jax.comparison.results import Results
from fish_jax.configs import began, dcgan_deep, r3gan, ralsgan
from fish_jax.configs.default import conv_transpose
from fish_jax.data.dataset import load_data
from fish_jax.errors import UserError
from fish_jax.utils.files import replacing

Change = Callable[[ConfigDict], None]
REPORT = {"ralsgan": ralsgan, "dcgan_deep": dcgan_deep, "began": began}


def _networks_of_ralsgan(config: ConfigDict) -> None:
    other = ralsgan.get_config("demo")
    config.update(generator=other.generator, discriminator=other.discriminator)


def _transposed(config: ConfigDict) -> None:
    """Transposed convolutions make the larger images, as in ralsgan."""
    rows = config.generator.layers
    pairs = zip(rows, (None, *rows))
    config.generator.layers = tuple(
        conv_transpose(row["filters"], 4, 2) if before and before["op"] == "upsample" else row
        for row, before in pairs
        if row["op"] != "upsample"
    )


def _boxes(config: ConfigDict) -> None:
    """Each pixel becomes a box of equal ones."""
    rows = config.generator.layers
    config.generator.layers = tuple(
        {**row, "filter": "box"} if row["op"] == "upsample" else row for row in rows
    )


# The recipe without one of its parts, and with what was left out.
PARTS: dict[str, Change] = {
    "no-average": lambda config: config.average.update(half_life=0.0),
    "batch-16": lambda config: config.update(batch_size=16),
    "transposed": _transposed,
    "box": _boxes,
    "networks-of-ralsgan": _networks_of_ralsgan,
    "rpgan": lambda config: config.loss.update(name="rpgan"),
    "augmented": lambda config: config.loss.update(augment=ALL),
}
SEEDS = {"parts": 3, "images": 5, "minutes": 5, "sets": 2}  # where none are asked for
EPOCHS = 18  # of 2,263 photographs
ALL = "color,translation,cutout"
FEW = 300
LEAST = 200  # images of a style, so that enough of them can be held out
STYLES = {"sash-rls-icv": "sash_*,rls_*,icv_*", "clean": "sash_*,rls_*,icv_*,ulu_*"}


def prepared(module, data: str, epochs: int) -> ConfigDict:
    """A config's demo on other images, a fifth of which is held out."""
    config = module.get_config("demo")
    config.data.path, config.data.holdout = data, 0.2
    config.epochs, config.sample_every_epochs = epochs, max(1, epochs // 4)
    config.checkpoint_minutes, config.keep_checkpoints = 30.0, 1
    return config


def changed(config: ConfigDict, change: Change) -> ConfigDict:
    config = config.copy_and_resolve_references()
    change(config)
    return config


def without_parts(config: ConfigDict) -> dict[str, ConfigDict]:
    """The recipe, it without each of its parts, and the networks and loss of R3GAN."""
    made = {"flat": config, "r3gan": prepared(r3gan, config.data.path, config.epochs)}
    return made | {name: changed(config, change) for name, change in PARTS.items()}


def against_report(config: ConfigDict, data: str) -> dict[str, ConfigDict]:
    """The recipe, and the report's networks trained for as many epochs."""
    others = {name: prepared(module, data, config.epochs) for name, module in REPORT.items()}
    return {"flat": config} | others


def epochs_as_long(configs: Mapping[str, ConfigDict], result: Results) -> dict[str, int]:
    """For how many epochs each of the report's trains while the recipe does all of its own.

    Args:
      configs: of a comparison, `flat` among them.
      result: of it, for the seconds of steps of each.

    Raises:
      UserError: no run of a configuration came to its end, so that nobody knows how long it takes.
    """
    seconds = {}
    for name in configs:
        finished = result.finished(name)
        if not finished:
            raise UserError(f"all runs of {name} diverged; leave it out of REPORT")
        seconds[name] = statistics.median(outcome.seconds for outcome in finished)
    return {
        name: max(1, round(config.epochs * seconds["flat"] / seconds[name]))
        for name, config in configs.items()
        if name != "flat"
    }


def as_long(
    configs: Mapping[str, ConfigDict], result: Results, path: Path
) -> dict[str, ConfigDict]:
    """The recipe, and the report's networks trained as long.

    Args:
      configs, result: as of `epochs_as_long`.
      path: of a file that keeps the epochs, as times differ from day to day.
    """
    if not path.exists():
        with replacing(path) as file:
            file.write(json.dumps(epochs_as_long(configs, result)).encode())
    made = {"flat": configs["flat"]}
    for name, epochs in json.loads(path.read_text()).items():
        made[f"{name}-as-long"] = changed(configs[name], lambda own, n=epochs: own.update(epochs=n))
    return made


def image_sets(data: str, folder: Path, height: int, width: int) -> dict[str, dict[str, str]]:
    """Fields of `data` by the name of a set; arrays that are none yet are written to the folder.

    Args:
      data: a folder of photographs; "" for none. Where names begin with their style, as
        `photographs.load` has them, sets of fewer styles are made, too.
      folder: for arrays.
      height, width: of the images.
    """
    letters = folder / "letters.npy"
    made = {"drawn": {"path": "", "count": DRAWN}, "letters": {"path": str(letters)}}
    if not letters.exists():
        write_array(letters, draw_letters(DRAWN, height, width))
    if not data:
        return made
    for name, which in STYLES.items():
        counts = [sum(1 for _ in Path(data).rglob(pattern)) for pattern in which.split(",")]
        if all(counts) and sum(counts) >= LEAST:
            made[name] = {"path": data, "include": which}
    made["all"] = {"path": data}
    few = folder / f"{FEW}.npy"
    if not few.exists():
        images, _ = photographs.load(data, height, width)
        if len(images) <= FEW:
            return made
        write_array(few, images[np.linspace(0, len(images) - 1, FEW).astype(int)])
    return made | {str(FEW): {"path": str(few)}}


def write_array(path: Path, images: np.ndarray) -> None:
    with replacing(path) as file:
        np.save(file, images)


def compared(configs: Mapping[str, ConfigDict], seeds: int, folder: Path, page: Path) -> Results:
    """Trains what is not trained yet, prints the table and names the page."""
    result = fish_jax.compare_configs(configs, range(seeds), folder)
    print(result.table())
    print(f"open {result.save(page)}", flush=True)
    return result


def run(command: str, data: str, folder: Path, epochs: int, seeds: int) -> None:
    """Does what a command of `SEEDS` says."""
    config, page = prepared(flat, data, epochs), folder / command
    if command == "sets":
        for name, fields in image_sets(data, folder, config.height, config.width).items():
            own = page / name
            compared({"flat": on_set(config, fields)}, seeds, own, own)
        return
    trained = folder / "trained"
    configs = without_parts(config) if command == "parts" else against_report(config, data)
    if command == "minutes":
        as_many = fish_jax.compare_configs(configs, range(seeds), trained)
        configs = as_long(configs, as_many, folder / "epochs.json")
    compared(configs, seeds, trained, page)


def on_set(config: ConfigDict, fields: Mapping[str, str]) -> ConfigDict:
    """The config on other images, with about as many of them seen."""
    own = changed(config, lambda own: own.data.update(fields))
    size = len(load_data(own).train)
    whole = len(load_data(config).train)
    own.epochs = max(1, round(config.epochs * whole / size))
    own.sample_every_epochs = max(1, own.epochs // 4)
    return own
