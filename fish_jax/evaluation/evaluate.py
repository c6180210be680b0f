"""Evaluates a run: reads its images, renders as many with its generator, and scores them."""

import contextlib
import functools
import os
from pathlib import Path
from typing import Unpack

import numpy as np

from fish_jax.data.cache import cache_folder, digest
from fish_jax.data.dataset import GIVEN, load_data, mark_given, missing
from fish_jax.data.images import ImageSet
from fish_jax.data.sources import Indexable
from fish_jax.errors import UserError
from fish_jax.evaluation import references_file
from fish_jax.evaluation.cache import cached
from fish_jax.evaluation.features import space_file
from fish_jax.evaluation.features.space import NAME, Space, fit
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.metrics.inception import Network, load_network
from fish_jax.evaluation.real_images import RealImages, divide
from fish_jax.evaluation.references import LEAST_IMAGES, VERSION, prepare
from fish_jax.evaluation.scores import Judgement, References
from fish_jax.gan.inference import render
from fish_jax.gan.own import Own
from fish_jax.runs import sampling
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.utils.config import Config
from fish_jax.utils.log import phase
from fish_jax.utils.paths import expand
from fish_jax.utils.progress import Begin, ignore_begin
from fish_jax.utils.terminal import stage_bars

MOST_IMAGES = 2000  # on each side, unless more are asked for
SHOWN = {1: ("grey as RGB",), 4: ("alpha over white",)}  # how other channels than RGB are scored


def evaluate(
    folder: str | Path,
    count: int = 0,
    intervals: bool = True,
    seed: int = 0,
    *,
    data_path: str | Path = "",
    images: Indexable | None = None,
    inception: str | Path = "",
    resize: str = "clean",
    averaged: bool = True,
    checkpoint: str | int = NEWEST,
    show_progress: bool = False,
    **own: Unpack[Own],
) -> Judgement:
    """Scores a checkpoint of a run against its images.

    Held-out images (`data.holdout`) give the baselines. If a run has none, its images are divided
    into thirds, near-duplicates together: 95 images are enough then. Memorisation cannot be
    measured.

    Args:
      folder: the folder of the run.
      count: images on each side; 0: all, at most 2,000.
      intervals: whether to compute 95 % intervals over images of the same generator.
      seed: the seed of all random choices.
      data_path: the new place of the run's images, if they were moved after training.
      images: the images of the run, if they were given to `train`; as there.
      inception: a file of Inception's weights, as `evaluation.metrics.inception` describes it;
        without it, FID and KID are not scored.
      resize: how to resize images for Inception: "clean" or "legacy".
      averaged: whether to render with the average of the generator's weights, where the run has
        one, or with the last weights.
      checkpoint: as in `sampling.load`.
      show_progress: whether to draw progress bars on stderr.
      **own: as in `sampling.load`.

    Returns:
      The scores, their baselines and the protocol; generated images are those of seeds 0, 1, ...

    Raises:
      UserError: no run, no checkpoint, other images or too few, or unusable weights.
    """
    config, _ = sampling.read_run(Path(folder), **own)
    network = load_network(inception, resize) if inception else None
    if data_path or images is not None:
        config = {**config, "data": {**config["data"], "path": str(data_path)}}
    # Mistakes first: the rest takes long.
    gan, state = sampling.load(folder, averaged, checkpoint, **own)
    loaded = _load_images(config, Path(folder), images, bool(data_path), show_progress, own)
    with stage_bars() if show_progress else contextlib.nullcontext(ignore_begin) as begin:
        references = read_references(config, loaded, count, seed, network, begin)
        seeds = range(references.count)
        with phase("rendering"):
            generated = render(gan, state, seeds, on_progress=begin("rendering", len(seeds)))
        with phase("scores"):
            judgement = judge(references, generated, intervals, begin=begin, network=network)
    steps, protocol = int(state.step), judgement.protocol
    if gan.averaging is not None:
        weights = "the average of G's weights" if averaged else "G's last weights"
        protocol += f"; drawn with {weights}"
    return judgement._replace(images=steps * config["batch_size"], steps=steps, protocol=protocol)


def _load_images(
    config: Config,
    folder: Path,
    given: Indexable | None,
    are_moved: bool,
    show_progress: bool,
    own: Own,
) -> ImageSet:
    """Loads the images of a run; if they are given or moved, checks that they are the same."""
    path, where = config["data"]["path"], "given"
    if given is not None:
        mark_given(config, given)
    elif path == GIVEN:
        raise missing(folder)
    elif path:
        where = f"in {path}"
        if not os.path.exists(expand(path)):
            raise UserError(
                f"the images of {folder} are no longer at {path}; give their new place as "
                "--config.data.path=..., in Python as data_path"
            )
    images = load_data(config, show_progress, given)
    is_known = given is None and not are_moved
    if not is_known and sampling.restore(folder, **own)[1].progress["data"] != digest(images.train):
        raise UserError(
            f"the images {where} differ from those that {folder} was trained on; give the "
            "original images"
        )
    return images


def read_references(
    config: Config,
    images: ImageSet,
    count: int = 0,
    seed: int = 0,
    network: Network | None = None,
    begin: Begin = ignore_begin,
    space: Space | None = None,
) -> References:
    """Prepares the real images that the runs of a config are scored against, or reads the caches.

    Args:
      config: as `configs/default.py` makes it; only the section `data` is read.
      images: the images of that config.
      count, seed: as in `evaluate`.
      network: for FID and KID.
      begin: called at the beginning of each stage; see `utils.progress`.
      space: the space of the features; without it, one is fitted to the images.

    Raises:
      UserError: too few images.
    """
    data, drawn = config["data"], not config["data"]["path"]
    real = divide(images, seed)
    count = _count(real, images.source, count)
    folder = cache_folder(data["cache"])
    digests = [digest(side) for side in (images.train, images.holdout) if len(side)]
    if space is None:
        space = _space(folder, [NAME, digests, seed], real, seed, begin)
    made = [] if drawn else [f"fit {data['fit']}", f"resample {data['resample']}"]
    resizing = ", ".join([*made, *SHOWN.get(data["channels"], ())])
    key = [VERSION, digests, space.name, count, seed, resizing]
    if network is not None:
        key += [network.digest, network.resize]

    def build() -> References:
        with phase("scores of real images"):
            return prepare(
                real, space, count, seed, resizing=resizing, begin=begin, network=network
            )

    read = functools.partial(references_file.read, space=space)
    what = "reference features of real images"
    return cached(folder, key, what, build, references_file.write, read)


def _space(folder: str, key: list, real: RealImages, seed: int, begin: Begin) -> Space:
    """Fits the feature space to real images, or reads the cache."""

    def build() -> Space:
        with phase("feature encoder"):
            return fit(real.train, real.seen, seed, begin)

    return cached(folder, key, "the feature encoder", build, space_file.write, space_file.read)


def _count(real: RealImages, source: str, count: int) -> int:
    """The images on each side; as many as there are, up to 2,000, for 0."""
    if count and count < LEAST_IMAGES:
        raise UserError(
            f"an evaluation needs at least {LEAST_IMAGES} images on each side, not {count}; 0 "
            "uses all there are"
        )
    sides = int(np.sum(~real.seen)), len(real.held_out)
    needed = max(count, LEAST_IMAGES)
    if min(sides) < needed:
        held = (
            "held out"
            if real.unseen
            else "for the baseline, as no images are held out (data.holdout)"
        )
        raise UserError(
            f"{source} leaves {sides[0]} images to compare with and {sides[1]} {held}; an "
            f"evaluation needs {needed} of each: use more images or another data.holdout"
        )
    return count or min(*sides, MOST_IMAGES)
