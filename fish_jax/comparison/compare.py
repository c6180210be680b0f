"""Compares losses or configurations by training and evaluating each of them alike.

    compare(["lsgan", "hinge"], config)           the same networks; only the loss changes
    compare_configs({"deep": a, "shallow": b})    separate networks, loss, ... for each

plan.py lists the runs, runner.py trains and evaluates them, and results.py holds the outcomes.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fish_jax.comparison import runner
from fish_jax.comparison.plan import (
    Member,
    image_fields,
    keep_protocol,
    plan_configs,
    plan_runs,
    without_section,
)
from fish_jax.comparison.report import page
from fish_jax.comparison.results import Results
from fish_jax.comparison.runner import run_all
from fish_jax.data.cache import digest
from fish_jax.data.dataset import load_data
from fish_jax.evaluation import evaluate
from fish_jax.losses.presets import has_paper_settings
from fish_jax.runs import config_file
from fish_jax.utils import validation
from fish_jax.utils.files import naming, replacing
from fish_jax.utils.terminal import stage_bars


class Comparison(Results):
    """The results of a comparison, which can be saved with a report.

    The attributes are those of `Results`.
    """

    __slots__ = ()

    def save(self, folder: str | Path) -> Path:
        """Writes comparison.json, comparison.csv and index.html, the report.

        Args:
          folder: made if it does not exist; files of an earlier save are replaced.

        Returns:
          The path of the report.

        Raises:
          OSError: a file cannot be written; names it.
        """
        folder = Path(folder)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        contents = {"comparison.json": self.to_json(), "comparison.csv": self.to_csv()}
        for name, content in (contents | {"index.html": page.render(self)}).items():
            with replacing(folder / name) as file:
                file.write(content.encode())
        return folder / "index.html"


def compare(
    losses: Sequence[str],
    config: ConfigDict,
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
    advised: bool = False,
) -> Comparison:
    """Trains every loss from every seed, and evaluates all of them alike.

    Runs of one seed have the same initial weights, order of images and latents, and D sees as many
    real images in each. A run that diverges is an outcome. A comparison that was stopped resumes by
    the same call. Runs are trained one after another, or one on each of several devices, with the
    same results.

    Args:
      losses: names, of `losses.presets.PRESETS` or `losses.LOSSES`.
      config: of all runs; its loss, but for penalties added to it, and its seed are replaced.
      seeds: of the runs. One is an anecdote; three are few.
      folder: of the comparison, with a run of each loss and seed.
      marks: how many times a run is evaluated, the last at its end.
      count: images on each side of an evaluation; 0: as many as there are, at most 2,000.
      advised: whether each loss has its paper's optimiser and updates of D.

    Returns:
      The outcomes of all runs.

    Raises:
      UserError: a mistake in the arguments, or a loss that these networks or images cannot be
        trained with, before any is; a folder of another comparison, or of other images.
      Stopped: Ctrl-C or SIGTERM; the work done so far is saved.
    """
    folder, config = Path(folder), without_section(config)
    members = plan_runs(losses, config, seeds, folder, advised)
    epochs = runner.judged_after(config.epochs, marks)
    settings = {"marks": epochs, "advised": advised}
    found = _compare("loss", members, folder, marks, count, config_file.plain(config), settings)
    return found._replace(advised=tuple(x for x in losses if advised and has_paper_settings(x)))


def compare_configs(
    configs: Mapping[str, ConfigDict],
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
) -> Comparison:
    """Trains every configuration from every seed, and evaluates all of them alike.

    Networks, loss, optimiser, batch size and epochs may differ. Runs of one seed see the images in
    the same order. A run that diverges is an outcome. A comparison that was stopped resumes by the
    same call, which may add configurations and seeds. Devices as in `compare`.

    Args:
      configs: by names that can be names of folders; `data` (but for `flips`, `cache` and
        `device_gigabytes`), `height` and `width` are the same in all, and seeds are replaced.
      seeds: of the runs. One is an anecdote; three are few.
      folder: of the comparison, with a run of each configuration and seed.
      marks: how many times a run is evaluated, the last at its end.
      count: as in `compare`.

    Returns:
      The outcomes of all runs.

    Raises:
      UserError: a mistake in the arguments or a configuration, before any is trained; a folder of
        another comparison, or of other images; a run there that was begun with other settings.
      Stopped: Ctrl-C or SIGTERM; the work done so far is saved.
    """
    folder = Path(folder)
    members = plan_configs(configs, seeds, folder)
    shared = image_fields(members[0].config)
    validation.check("marks", marks, validation.whole(1))
    return _compare("config", members, folder, marks, count, shared, {"marks": marks})


def _compare(
    of: str,
    members: Sequence[Member],
    folder: Path,
    marks: int,
    count: int,
    shared: dict[str, Any],
    settings: dict[str, Any],
) -> Comparison:
    """Writes the shared settings, and brings each run to its end.

    Args:
      of: as in `Comparison`.
      members: the runs, all of the same images.
      folder, marks, count: as in `compare`.
      shared: fields of configurations that must stay as they are for the folder's runs to compare.
      settings: of the comparison, likewise.
    """
    widest = max((member.config for member in members), key=lambda config: config.batch_size)
    images = load_data(widest, show_progress=True)
    with stage_bars() as begin:
        references = evaluate.read_references(widest, images, count, begin=begin)
    sides = [digest(side) for side in (images.train, images.holdout)]
    settings = settings | {"count": references.count, "images": sides}
    keep_protocol(folder, {"of": of, "config": shared, "settings": settings})
    for member in members:
        runner.check(member)
    finish = functools.partial(runner.finish, marks=marks, references=references, real=images.train)
    limits = [member.config.devices for member in members if member.config.devices]
    return Comparison(
        tuple(run_all(members, finish, min(limits, default=0))),
        tuple(dict.fromkeys(member.loss for member in members)),
        tuple(dict.fromkeys(member.seed for member in members)),
        references.floors,
        references.protocol,
        str(folder),
        of=of,
    )
