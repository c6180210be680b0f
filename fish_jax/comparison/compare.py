"""Compares losses or configurations by training and evaluating each of them alike.

    compare(["lsgan", "hinge"], config)           the same networks; only the loss changes
    compare_configs({"deep": a, "shallow": b})    separate networks, loss, ... for each

plan.py lists the runs, runner.py trains and evaluates them, and results.py holds the outcomes.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from ml_collections import ConfigDict

from fish_jax.comparison import plan, runner
from fish_jax.comparison.report import page
from fish_jax.comparison.results import Results
from fish_jax.data.batches import plan_epochs
from fish_jax.data.cache import digest
from fish_jax.data.dataset import load_data, mark_given
from fish_jax.data.sources import Indexable
from fish_jax.evaluation import evaluate
from fish_jax.gan.own import Own
from fish_jax.losses.presets import has_paper_settings
from fish_jax.runs import directory
from fish_jax.utils import files, terminal, validation


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
        folder.mkdir(parents=True, exist_ok=True)
        report = page.render(self)
        files.write_text(folder / "comparison.json", self.to_json())
        files.write_text(folder / "comparison.csv", self.to_csv())
        files.write_text(folder / "index.html", report)
        return folder / "index.html"


def compare(
    losses: plan.Compared,
    config: ConfigDict,
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
    advised: bool = False,
    images: Indexable | None = None,
    **own: Unpack[Own],
) -> Comparison:
    """Trains every loss from every seed, and evaluates all of them alike.

    Runs of one seed have the same initial weights, order of images and latents, and D sees as many
    real images in each. A run that diverges is an outcome. A stopped comparison resumes with
    the same call. Runs are trained one after another, or one on each of several devices, with the
    same results.

    Args:
      losses: names, of `losses.presets.PRESETS` or `losses.LOSSES`; or losses by name, each such a
        name or one of your own, as `gan.own.Own` has it: {"mine": my_loss, "wgan": "wgan"}.
      config: the config of all runs; its loss, but for penalties added to it, and its seed are
        replaced.
      seeds: the seeds of the runs. One is anecdotal; three are few.
      folder: the folder of the comparison, with a run of each loss and seed.
      marks: how many times a run is evaluated, the last at its end.
      count: images on each side of an evaluation; 0: all, at most 2,000.
      advised: whether each loss gets the optimiser and D updates of its paper.
      images: the images of all runs instead of those of `data.path`, as of `train`.
      **own: networks and optimisers of all runs in place of the config's, by the names in
        `gan.own.Own`.

    Returns:
      The outcomes of all runs.

    Raises:
      UserError: a mistake in the arguments, or a loss that these networks or images cannot be
        trained with, before any is; a folder of another comparison, or of other images.
      Stopped: Ctrl-C or SIGTERM; finished work is saved.
    """
    folder, config = Path(folder), plan.without_section(config)
    members = plan.plan_runs(losses, config, seeds, folder, advised, **own)
    settings = {"marks": marks, "advised": advised}
    shared = plan.shared_config(config, members[0], own)
    protocol = {"of": "loss", "config": shared, "settings": settings}
    found = _compare(members, folder, marks, count, protocol, images)
    of_paper = [name for name, loss in plan.by_name(losses).items() if has_paper_settings(loss)]
    return found._replace(advised=tuple(of_paper) if advised else ())


def compare_configs(
    configs: Mapping[str, ConfigDict | tuple[ConfigDict, Own]],
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
    images: Indexable | None = None,
) -> Comparison:
    """Trains every configuration from every seed, and evaluates all of them alike.

    Networks, loss, optimiser, batch size and epochs may differ. Runs of one seed see the images in
    the same order. A run that diverges is an outcome. A stopped comparison resumes with the
    same call, which may add configurations and seeds. Devices as in `compare`.

    Args:
      configs: configurations by name; the names become names of folders. All need the same
        `height`, `width` and `data` (but for `flips`, `cache` and `device_gigabytes`). `seed` is
        replaced. With parts of your own a pair: (config, {"generator": MyGenerator()}), as
        `gan.own.Own` has them.
      seeds: the seeds of the runs. One is anecdotal; three are few.
      folder: the folder of the comparison, with a run of each configuration and seed.
      marks: how many times a run is evaluated, the last at its end.
      count, images: as in `compare`.

    Returns:
      The outcomes of all runs.

    Raises:
      UserError: a mistake in the arguments or a configuration, before any is trained; a folder of
        another comparison, or of other images; a run there that was started with other settings.
      Stopped: Ctrl-C or SIGTERM; finished work is saved.
    """
    folder = Path(folder)
    members = plan.plan_configs(configs, seeds, folder)
    shared = plan.image_fields(members[0].config)
    protocol = {"of": "config", "config": shared, "settings": {"marks": marks}}
    return _compare(members, folder, marks, count, protocol, images)


def _compare(
    members: Sequence[plan.Member],
    folder: Path,
    marks: int,
    count: int,
    protocol: dict[str, Any],
    given: Indexable | None,
) -> Comparison:
    """Writes the settings that all evaluations share, and finishes each run."""
    validation.check("marks", marks, validation.whole(1))
    directory.check_apart(folder, members[0].config.data)
    if given is not None:
        for config in (*(member.config for member in members), protocol["config"]):
            mark_given(config, given)
    plan.refuse_drawn_fish(folder, protocol["config"])
    widest = max((member.config for member in members), key=lambda config: config.batch_size)
    images = load_data(widest, show_progress=True, images=given)
    kept = plan.kept_space(folder)
    with terminal.stage_bars() as begin:
        references = evaluate.read_references(widest, images, count, begin=begin, space=kept)
    space, sides = references.space, [digest(side) for side in (images.train, images.holdout)]
    if protocol["of"] == "loss":  # all runs have the same epochs, which the images decide
        epochs = plan_epochs(widest, len(images.train)).total
        protocol["settings"]["marks"] = runner.judged_after(epochs, marks)
    protocol["settings"] |= {"count": references.count, "images": sides, "space": space.name}
    plan.keep_protocol(folder, protocol)
    if kept is None:
        plan.keep_space(folder, space)
    for member in members:
        runner.check(member)
    finish = functools.partial(runner.finish, marks=marks, references=references, images=images)
    limits = [member.config.devices for member in members if member.config.devices]
    outcomes = tuple(runner.run_all(members, finish, min(limits, default=0)))
    losses = tuple(dict.fromkeys(member.loss for member in members))
    seeds = tuple(dict.fromkeys(member.seed for member in members))
    floors, judged_by = references.floors, references.protocol
    return Comparison(outcomes, losses, seeds, floors, judged_by, str(folder), of=protocol["of"])
