"""Losses compared: the same networks, data, keys and evaluation, several seeds each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from fish_jax import evaluation, judge, pictures, sampling, workdir
from fish_jax.data import load_data
from fish_jax.errors import Diverged, UserError
from fish_jax.files import replacing
from fish_jax.recipes import apply_recipe
from fish_jax.standings import Comparison, Mark, Outcome
from fish_jax.state import Gan, TrainState, make_gan
from fish_jax.step import scale_images
from fish_jax.terminal import say
from fish_jax.training import train

PROTOCOL = "protocol.json"
OUTCOME = "outcome.json"
SHOWN = 256  # images of each side whose scores by D are kept
GRID = 32  # images in a grid


class Member(NamedTuple):
    """One run of a comparison."""

    loss: str
    seed: int
    config: ConfigDict
    folder: Path


def compare(
    losses: Sequence[str],
    config: ConfigDict,
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
    advised: bool = False,
) -> Comparison:
    """Trains every loss from every seed, and judges all of them alike.

    Of a seed, all losses have the same initial weights, order of images and latents. D of each sees
    as many real images. A run that diverges is an outcome. Whatever stops a comparison, the same
    call goes on.

    Args:
      losses: of `recipes.RECIPES` or `losses.LOSSES`.
      config: of the run that all are; its loss but for companions, and its seed, do not count.
      seeds: of the runs. One is an anecdote; three are few.
      folder: of the comparison; a run of each loss and seed is in it.
      marks: how many times in its course a run is judged, the end among them.
      count: images on each side of a judgement; 0: as many as can be had, at most 2,000.
      advised: whether each loss has its paper's optimiser and updates of D.

    Returns:
      All outcomes.

    Raises:
      UserError: a loss that these networks or images cannot be trained with, before any is; or a
        folder of another comparison.
      Stopped: Ctrl-C or SIGTERM; what was done is saved.
    """
    folder, seeds = Path(folder), tuple(seeds)
    members = list(_members(losses, config, seeds, folder, advised))
    for member in members:
        make_gan(member.config)
    epochs = _marks(config["epochs"], marks)
    images = load_data(config)
    references = evaluation.read_references(config, images, count)
    settings = {"config": workdir.plain(config), "losses": list(losses), "seeds": list(seeds)}
    settings |= {"marks": epochs, "count": references.count, "advised": advised}
    _keep_protocol(folder, settings)
    shown = images.train[: min(SHOWN, len(images.train))]
    outcomes = []
    for place, member in enumerate(members):
        say(f"run {place + 1} of {len(members)}: {member.loss}, seed {member.seed}")
        outcomes.append(_finish(member, epochs, references, shown))
    judged = references.floors, references.protocol
    return Comparison(tuple(outcomes), tuple(losses), seeds, *judged, str(folder))


def _members(
    losses: Sequence[str], config: ConfigDict, seeds: Sequence[int], folder: Path, advised: bool
) -> Iterator[Member]:
    """Seed by seed, so that a comparison that is cut off still has whole seeds."""
    if not losses or not seeds:
        raise UserError("a comparison needs at least one loss and one seed")
    for seed in seeds:
        for loss in losses:
            own = apply_recipe(config, loss, advised)
            own.update(seed=seed, name=f"{loss}-{seed}")
            yield Member(loss, seed, own, folder / "runs" / own.name)


def _marks(epochs: int, marks: int) -> list[int]:
    """Epochs after which runs are judged: each a multiple of what is about 1 / marks of all."""
    return sorted({max(1, round(epochs * (index + 1) / marks)) for index in range(marks)})


def _keep_protocol(folder: Path, settings: Mapping[str, Any]) -> None:
    path = folder / PROTOCOL
    if path.exists():
        changed = workdir.differences(json.loads(path.read_text()), settings)
        if changed:
            lines = "\n  ".join(changed)
            raise UserError(f"{folder} holds another comparison. They differ in:\n  {lines}")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(settings, indent=2).encode())


def _finish(
    member: Member, epochs: Sequence[int], references: judge.References, shown: np.ndarray
) -> Outcome:
    """Trains and judges a run from where it is."""
    path = member.folder / OUTCOME
    if path.exists():
        return Outcome.read(path)
    marks, diverged = [], None
    for epoch in epochs:
        judged = member.folder / f"mark-{epoch:06d}.json"
        if judged.exists():
            marks.append(Mark.read(judged))
            continue
        member.config.epochs = epoch
        try:
            state = train(member.config, member.folder)
        except Diverged as error:
            say(f"{member.loss}, seed {member.seed}, diverged: {error}")
            diverged = error.step
            break
        marks.append(_judge(member, state, epoch, references, shown))
        marks[-1].write(judged)
    outcome = Outcome(member.loss, member.seed, diverged, tuple(marks), _seconds(member))
    outcome.write(path)
    return outcome


def _judge(
    member: Member,
    state: TrainState,
    epoch: int,
    references: judge.References,
    shown: np.ndarray,
) -> Mark:
    gan = make_gan(member.config)
    generated = sampling.render(gan, state, range(references.count))
    judgement = judge.judge(references, generated)
    sheet = pictures.grid(generated[:GRID], 8)
    pictures.write_png(member.folder / f"mark-{epoch:06d}.png", sheet)
    scores = {score.name: score.value for score in judgement.scores}
    sides = [_scores(gan, state, side) for side in (shown, generated[: len(shown)])]
    step = int(state.step)
    updates = step // gan.loss.discriminator_steps
    return Mark(epoch, step * member.config.batch_size, updates, scores, *sides)


def _scores(gan: Gan, state: TrainState, images: np.ndarray) -> list[float]:
    """What the discriminator says of images, in inference mode."""

    @jax.jit
    def score(state: TrainState, images: jax.Array) -> jax.Array:
        variables = {"params": state.discriminator_params, "batch_stats": state.discriminator_stats}
        return gan.discriminator.apply(variables, scale_images(images, gan.dtype))[0]

    return np.asarray(score(state, images), np.float64).tolist()


def _seconds(member: Member) -> float:
    """Time spent in steps, without compiling and judging."""
    lines = workdir.read_metrics(member.folder)
    return sum(
        line["steps"] * member.config.batch_size / line["images_per_second"] for line in lines
    )
