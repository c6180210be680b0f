"""The modes of the command line: one function each, whose parameters are the mode's flags."""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from fish_jax.comparison.compare import compare as compare_losses
from fish_jax.comparison.plan import plan_runs
from fish_jax.data import dataset, images
from fish_jax.errors import UserError
from fish_jax.evaluation import image_sets, scores_file
from fish_jax.evaluation.evaluate import evaluate as evaluate_run
from fish_jax.gan import model, summary
from fish_jax.runs import (
    animation,
    config_file,
    directory,
    health,
    interpolation,
    inversion,
    layout,
    sampling,
)
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.runs.fine_tuning import start_from
from fish_jax.serving.export import contents, write_export
from fish_jax.training import data_parallel, estimate, input_pipeline, previews
from fish_jax.training.train import train as train_run
from fish_jax.utils import compilation_cache, multihost, pictures, validation
from fish_jax.utils.config import Config
from fish_jax.utils.files import remove_partial, replacing
from fish_jax.utils.messages import printable
from fish_jax.utils.paths import expand
from fish_jax.utils.terminal import announce, stage_bars

SHEET = 48  # images on the sheet of the mode data
AUGMENTED = 6  # images whose augmentations are shown
SHEET_WIDTH = 1200  # pixels, about
WALK_WIDTH = 640  # pixels, about


def _folder_of(config: Config, workdir: str) -> Path:
    """The folder of the run: the one that was given, or runs/NAME."""
    if workdir:
        return Path(workdir)
    validation.check("name", config["name"], validation.FOLDER)
    return Path("runs") / config["name"]


def _prepare_device() -> None:
    """Finds JAX's device and turns on the compilation cache, before any long work."""
    try:
        jax.devices()
    # A bare one where JAX knows the platform's name; under `python -O`, which asserts nothing, the
    # attribute of a None.
    except (AssertionError, AttributeError, RuntimeError) as error:
        error = "" if isinstance(error, AttributeError) else error
        reason = " ".join(str(error).split()) or "none was found"
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        raise UserError(
            f"JAX found no device for JAX_PLATFORMS={platforms} ({reason}); install the "
            "extra cuda or cuda13 for a GPU, or set JAX_PLATFORMS=cpu"
        ) from None
    compilation_cache.keep_compiled()


def _tell(text: str) -> None:
    """Prints a line that names a path."""
    print(printable(text))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); choose another --out") from None


def _write_png(path: Path, image: np.ndarray, least_width: int = 0) -> None:
    with _writing(path):
        pictures.write_png(path, image, least_width)


def _out(out: str, default: Path, suffixes: Collection[str], more: str = "") -> Path:
    """The file to write: `--out` or a default; refuses other suffixes, removes what a kill left."""
    path = Path(out or default)
    if path.suffix.lower() not in suffixes:
        raise UserError(f"--out={out} must end in {' or '.join(suffixes)}{more}")
    remove_partial(path.parent, re.escape(path.name), inner=False)
    return path


def _check_out(out: str, run: Path) -> None:
    """Refuses to write among the images that a run was trained on."""
    if out and (run / layout.CONFIG).exists():  # without, the mode itself says what is wrong
        directory.check_apart(Path(out), config_file.read_config(run)["data"], "--out")


def train(
    config: Config,
    section: Config | None,
    workdir: str,
    init: str,
    checkpoint: str,
    coordinator: str,
    num_processes: int | None,
    process_id: int | None,
) -> None:
    """Trains a run, with other processes if there are any, and prints the picture to open."""
    if section is not None:
        raise UserError(
            f"config {config['name']} compares losses; use mode compare, or train another config"
        )
    multihost.join(coordinator, num_processes, process_id, os.environ)
    _prepare_device()
    place, initial = _folder_of(config, workdir), init or None
    if checkpoint != NEWEST and not init:
        raise UserError("train uses --checkpoint only with --init; leave it out")
    with multihost.exit_on_failure():
        if checkpoint != NEWEST:
            initial = sampling.load(init, checkpoint=checkpoint)[1]
        train_run(config, place, initial=initial)
    if multihost.is_main_process():
        _tell(f"open {previews.newest_samples(place)}")


def _compared(config: Config, section: Config) -> tuple[list[str], range]:
    """Losses and seeds of a comparison."""
    losses = [name.strip() for name in section["losses"].split(",") if name.strip()]
    return losses, range(config["seed"], config["seed"] + section["seeds"])


def check_section(config: Config, section: Config | None) -> None:
    """Refuses a config of one run where one of a comparison is needed."""
    if section is None:
        raise UserError(
            f"config {config['name']} has no section `compare` with losses and seeds; use "
            "--config=compare, or start your file from fish_jax.configs.compare"
        )


def compare(config: Any, section: Config, workdir: str) -> None:
    """Trains and evaluates several losses, prints their table and the path of the report."""
    _prepare_device()
    losses, seeds = _compared(config, section)
    place = _folder_of(config, workdir)
    options = {name: section[name] for name in ("marks", "count", "advised")}
    result = compare_losses(losses, config, seeds, place, **options)
    page = result.save(place)
    print(result.table())
    _tell(f"open {page}")


def describe(config: Config) -> None:
    """Prints both networks row by row."""
    print(summary.describe(model.make_gan(config)), end="")


def data(config: Config, workdir: str, out: str) -> None:
    """Writes a sheet of the config's images, and prints a report about them.

    If training augments or mirrors images, a second sheet shows a few augmented ones.
    """
    place = _folder_of(config, workdir)
    directory.check_apart(Path(out or place), config["data"], "--out" if out else "--workdir")
    path = _out(out, place / "data.png", [".png"])
    changes = config["loss"]["augment"] or config["data"]["flips"]
    if changes:
        _prepare_device()
    loaded = images.load_images(**dataset.arguments(config), show_progress=True)
    chosen = np.linspace(0, len(loaded.train) - 1, min(SHEET, len(loaded.train))).astype(int)
    columns = min(max(1, round(SHEET_WIDTH / config["width"])), 8)
    _write_png(path, pictures.grid(np.asarray(loaded.train[chosen]), columns), 800)
    print(images.report(loaded))
    _tell(f"open {path}")
    if changes:
        columns = max(columns, 2)  # beside the image itself
        seen = path.with_stem(f"{path.stem}-augmented")
        few = np.asarray(loaded.train[chosen[:: max(1, len(chosen) // AUGMENTED)][:AUGMENTED]])
        _write_png(seen, pictures.grid(previews.augmented(config, few, columns), columns), 800)
        _tell(f"open {seen}: a few images, each beside augmented copies")


def dry_run(config: Any, section: Config | None, workdir: str, init: str) -> None:
    """Prints config, networks, images and plan; for a comparison, the plan of one run."""
    directory.check_apart(_folder_of(config, workdir), config["data"])
    _prepare_device()
    gan = model.make_gan(config)
    if init:
        start_from(init, gan, config["seed"], {})
    devices = data_parallel.choose_devices(config["devices"], config["batch_size"])
    loaded = dataset.load_data(config, show_progress=True)
    print(config)
    print(summary.describe(gan))
    print(images.report(loaded))
    plan = input_pipeline.plan(config, loaded.train, len(devices))
    levels = summary.plan_levels(gan)
    print(estimate.starting_note(config, levels, len(loaded.train), plan, len(devices)))
    if section is not None:
        losses, seeds = _compared(config, section)
        runs = plan_runs(losses, config, seeds, Path(), section["advised"])
        print(
            f"losses {', '.join(losses)}, seeds {', '.join(map(str, seeds))}: {len(runs)} such "
            f"runs, each evaluated {section['marks']} times; before the first evaluation a feature "
            "encoder is trained, for some minutes on a CPU"
        )


def sample(workdir: str, seeds: str, out: str, averaged: bool, checkpoint: str) -> None:
    """Renders the images of some seeds from a checkpoint of a run."""
    place = Path(workdir)
    numbers = sampling.parse_seeds(seeds)
    _prepare_device()
    path = Path(out or place / "sampled.png")
    _check_out(out, place)
    if path.suffix:
        path = _out(out, path, [".png"], ", or be a folder for one file per seed")
    else:
        remove_partial(path, r"seed\d+\.png")
    rendered = sampling.sample(place, numbers, averaged, checkpoint)
    if path.suffix.lower() == ".png":
        columns = max(1, round(np.sqrt(len(numbers))))
        _write_png(path, pictures.grid(rendered, columns), 800)
        _tell(f"open {path}")
        return
    for number, image in zip(numbers, rendered):
        _write_png(path / f"seed{number:06d}.png", image)
    _tell(f"{len(numbers)} pictures in {path}")


def _write_animation(path: Path, frames: Sequence[Image.Image], pace: Sequence[int]) -> None:
    with _writing(path), stage_bars() as begin:
        animation.write_animation(path, frames, pace, begin("writing", len(frames)))
    _tell(f"open {path}")


def walk(workdir: str, seeds: str, frames: int, out: str, averaged: bool, checkpoint: str) -> None:
    """Writes an animation that interpolates from seed to seed, and back to the first."""
    place = Path(workdir)
    _check_out(out, place)
    path = _out(out, place / "walk.webp", animation.KINDS)
    numbers = sampling.parse_seeds(seeds)
    interpolation.check_walk(numbers, frames)
    _prepare_device()
    with stage_bars() as begin:
        advance = begin("rendering", len(numbers) * frames)
        rendered = interpolation.walk(place, numbers, frames, averaged, advance, checkpoint)
    pace = [animation.FASTEST] * len(rendered)
    _write_animation(path, animation.enlarged(rendered, WALK_WIDTH), pace)


def film(workdir: str, out: str) -> None:
    """Writes an animation of the samples that a run saved during training."""
    place = Path(workdir)
    _check_out(out, place)
    path = _out(out, place / "film.webp", animation.KINDS)
    _write_animation(path, *animation.film(place))


def export(workdir: str, out: str, averaged: bool, checkpoint: str) -> None:
    """Writes the generator of a run as one self-contained file, with its model card."""
    place = Path(workdir)
    _check_out(out, place)
    if not out:
        directory.refuse_links(place, [layout.EXPORT])
    _prepare_device()
    files = contents(place, averaged, checkpoint)
    try:
        card = write_export(Path(out or place / layout.EXPORT), files)
    except OSError as error:
        raise UserError(f"cannot write the export ({error}); choose another --out") from None
    _tell(f"open {card}")


def invert(workdir: str, image: str, out: str, averaged: bool, checkpoint: str) -> None:
    """Finds the latent of an image; writes the latent, and both images side by side."""
    place = Path(workdir)
    _check_out(out, place)
    path = _out(out, place / "inverted.png", [".png"])
    latent = _out("", path.with_name(f"{path.stem}-latent.npy"), [".npy"])
    _check_out(str(latent), place)
    _prepare_device()
    with stage_bars() as begin:
        found = inversion.invert(
            place,
            image,
            averaged=averaged,
            checkpoint=checkpoint,
            on_progress=begin("descending", inversion.IMAGES),
        )
    _write_png(path, inversion.beside(found), 800)
    with _writing(latent), replacing(latent) as file:
        np.save(file, found.latent)
    print(f"the error fell from {found.first_loss:.3f} to {found.loss:.3f}")
    _tell(
        f"open {path}: the image, and beside it the closest image of the generator; latent in "
        f"{latent}"
    )


def _folders(workdir: str) -> list[Path]:
    """The folders in a list with commas; one folder may have commas in its name."""
    parts = [workdir] if os.path.isdir(workdir) else workdir.split(",")
    names = [part if os.path.isdir(expand(part)) else part.strip() for part in parts]
    return [Path(expand(name)) for name in names if name]


def serve(workdir: str, host: str, hosts: str, port: int, checkpoint: str) -> None:
    """Serves the web page of some runs until it is stopped."""
    try:
        from fish_jax.serving import server  # which the others do without
    except ModuleNotFoundError as error:
        raise UserError(
            f"serve needs the package {error.name}; install the extra serve: pip "
            "install '.[serve]' in a checkout"
        ) from None
    _prepare_device()
    server.serve(_folders(workdir), host, port, hosts, checkpoint)


def _check_resize(resize: str | None, inception: str) -> None:
    if resize is not None and not inception:
        raise UserError(
            "--resize needs --inception: it sets how images are resized for FID and KID"
        )


def score(real: str, fake: str, size: str, inception: str, resize: str | None) -> None:
    """Prints the scores of a folder of generated images beside those of real images."""
    _check_resize(resize, inception)
    sides = image_sets.parse_size(size) if size else None
    _prepare_device()
    judgement = image_sets.score(
        real,
        fake,
        size=sides,
        inception=inception,
        resize=resize or "clean",
        show_progress=True,
    )
    print(judgement.table())


def evaluate(
    workdir: str,
    data_path: str,
    inception: str,
    resize: str | None,
    averaged: bool,
    checkpoint: str,
) -> None:
    """Prints the scores of a checkpoint of a run beside those of real images."""
    place = Path(workdir)
    _check_resize(resize, inception)
    _prepare_device()
    judgement = evaluate_run(
        place,
        data_path=data_path,
        inception=inception,
        resize=resize or "clean",
        averaged=averaged,
        checkpoint=checkpoint,
        show_progress=True,
    )
    print(judgement.table())
    averages = config_file.read_config(place)["average"]["half_life"] > 0
    try:
        scores_file.write_scores(place, judgement, averaged and averages)
    except OSError as error:  # perhaps another's run, to be read alone
        announce(f"warning: the scores were not saved: {error}")
    values = {score.name: score.value for score in judgement.scores}
    floors = {score.name: score.floor for score in judgement.scores}
    for finding in health.judged(values, floors, judgement.images, judgement.steps):
        print(f"{finding.name}: {finding.text}")
