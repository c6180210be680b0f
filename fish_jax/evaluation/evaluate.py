"""The scores of a run: its images read, its generator sampled, both judged."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fish_jax.data.cache import cache_folder
from fish_jax.data.dataset import load_data
from fish_jax.data.images import ImageSet
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.errors import UserError
from fish_jax.evaluation import judge, reference_cache, references, scores
from fish_jax.evaluation.metrics import inception as inception_module
from fish_jax.gan import inference
from fish_jax.runs import config_file, sampling
from fish_jax.utils.log import phase
from fish_jax.utils.progress import Begin, ignore_begin
from fish_jax.utils.terminal import stage_bars

MOST = 2000  # images on each side, unless more are asked for


def evaluate(
    folder: str | Path,
    count: int = 0,
    intervals: bool = True,
    seed: int = 0,
    *,
    inception: str | Path = "",
    resize: str = "clean",
    averaged: bool = True,
    show_progress: bool = False,
) -> scores.Judgement:
    """Scores the newest checkpoint of a run against its images.

    Held-out images (`data.holdout`) give the floor. Where a run has none, its images are cut into
    halves, near-duplicates together, and how much was memorised cannot be told.

    Args:
      folder: of the run.
      count: images on each side; 0: as many as can be had, at most 2,000.
      intervals: whether to estimate what other images of the same generator would give.
      seed: of all choices.
      inception: a file of Inception's weights, as `fish_jax.inception` has it; with it FID and KID
        are among the scores, without it never.
      resize: how images become Inception's size: "clean" or "legacy".
      averaged: whether images are drawn with the average of the generator's weights, where the run
        has one, or with the last.
      show_progress: whether to draw progress bars on stderr.

    Returns:
      The scores, their floors and the protocol; generated images are those of seeds 0, 1, ...

    Raises:
      UserError: no run, no checkpoint, too few images, or weights that cannot be used.
    """
    config = config_file.read_config(Path(folder))
    network = inception_module.load(inception, resize) if inception else None
    images = load_data(config, show_progress)
    with stage_bars() if show_progress else contextlib.nullcontext(ignore_begin) as begin:
        references = read_references(config, images, count, seed, network, begin)
        gan, state = sampling.load(folder, averaged)
        seeds = range(references.count)
        with phase("rendering"):
            rendered = begin("rendering", len(seeds))
            generated = inference.render(gan, state, seeds, on_progress=rendered)
        with phase("scores"):
            judgement = judge.judge(references, generated, intervals, begin=begin, network=network)
    steps, protocol = int(state.step), judgement.protocol
    if gan.averaging is not None:
        weights = "the average of G's weights" if averaged else "G's last weights"
        protocol += f"; drawn with {weights}"
    seen = steps * config["batch_size"]
    return judgement._replace(images=seen, steps=steps, protocol=protocol)


def read_references(
    config: Mapping[str, Any],
    images: ImageSet,
    count: int = 0,
    seed: int = 0,
    network: inception_module.Network | None = None,
    begin: Begin = ignore_begin,
) -> scores.References:
    """What the runs of a config are judged against; a second call finds it in the cache.

    Args:
      config: as `configs/default.py` makes it.
      images: of that config.
      count: as in `evaluate`.
      seed: of all choices.
      network: for FID and KID.
      begin: called at the beginning of each stage; see `utils.progress`.

    Raises:
      UserError: too few images.
    """
    data, drawn = config["data"], not config["data"]["path"]
    fitted = "" if drawn else f"fit {data['fit']}, resample {data['resample']}"
    build = lambda: _build(images, count, seed, fitted, begin, network)
    settings = [count, MOST, seed, fitted]
    if network is not None:
        settings += [network.digest, network.resize]
    return reference_cache.cached(cache_folder(data["cache"]), images, settings, build)


def _build(
    images: ImageSet,
    count: int,
    seed: int,
    fitted: str,
    begin: Begin,
    network: inception_module.Network | None,
) -> scores.References:
    real, held_out, apart = images.train, images.holdout, True
    if not len(held_out):
        groups, rng = near_duplicates(real), np.random.default_rng(seed)
        sides = rng.random(len(real))[groups] < 0.5
        real, held_out, apart = real[~sides], real[sides], False
    most = min(len(real), len(held_out))
    if count and count < references.LEAST_IMAGES:
        raise UserError(
            f"at least {references.LEAST_IMAGES} images on each side are needed to judge a run, "
            f"not {count}; 0 takes as many as there are"
        )
    if most < references.LEAST_IMAGES or count > most:
        kind = "held out" if apart else "in each half, as none are held out (data.holdout)"
        needed = max(count, references.LEAST_IMAGES)
        raise UserError(
            f"{images.source} leaves {len(held_out)} images {kind}; {needed} are needed to judge "
            "a run, so train one with more images or a larger data.holdout"
        )
    count = count or min(most, MOST)
    with phase("what real images score"):
        settings = {"fitted": fitted, "begin": begin, "network": network}
        return references.prepare(real, held_out, count, seed, apart, **settings)
