"""Scores against minutes, at full size: the recipe, other networks of ours, and a tutorial's.

Each contestant has a process of its own, with nothing beside it; see `course`. Samples are judged
when all have had their time.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipe import course
from fish_jax.data.dataset import load_data
from fish_jax.evaluation.evaluate import read_references
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.scores import References
from fish_jax.utils.files import replacing, write_text
from fish_jax.utils.terminal import announce, stage_bars

ALONE = ("flat", "ralsgan", "dcgan_deep", "tutorial-64", "tutorial-128")  # of one seed each
SHOWN = ("frechet", "sliced_wasserstein", "precision", "recall", "coverage")
SCORES = "scores.json"

Marks = Sequence[Mapping[str, float]]  # minutes, images and scores


def run(data: str, folder: Path, minutes: float, seeds: int) -> None:
    """Trains who is not trained yet, one after the other, judges all, and writes chart and table.

    Args:
      data: a folder of images; "" for drawn fish.
      folder: for runs, samples, `hour.png` and `hour.md`.
      minutes: of each contestant.
      seeds: of the recipe; those after the first have a sixth of the minutes.
    """
    contestants = [("best", seed) for seed in range(seeds)] + [(name, 0) for name in ALONE]
    for name, seed in contestants:
        given = minutes / 6 if seed else minutes
        own = folder / f"{name}-{seed}"
        if not (own / course.DONE).exists():
            shutil.rmtree(own, ignore_errors=True)  # its clock cannot go on
            announce(f"{name}, seed {seed}: {given:g} minutes")
            arguments = [name, str(seed), str(given), data, str(own)]
            subprocess.run(
                [sys.executable, "-m", "benchmarks.recipe.course", *arguments], check=True
            )
    config = course.configured("best", 0, data)
    images = load_data(config, show_progress=True)
    with stage_bars() as begin:
        count = min(course.COUNT, len(images.holdout))
        references = read_references(config, images, count, begin=begin)
    found = {
        f"{name}, seed {seed}": judged(folder / f"{name}-{seed}", references)
        for name, seed in contestants
    }
    write_text(folder / "hour.md", table(found, references.floors))
    chart(folder / "hour.png", found, references.floors)
    announce(f"open {folder / 'hour.png'} and {folder / 'hour.md'}")


def judged(folder: Path, references: References) -> Marks:
    """The marks of a contestant with their scores, which are kept in its folder."""
    path = folder / SCORES
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("protocol") == references.protocol:
        return kept["marks"]
    marks = json.loads((folder / course.COURSE).read_text())
    for index, mark in enumerate(marks):
        samples = np.load(folder / f"{index}.npy")[: references.count]
        scores = judge(references, samples).scores
        mark |= {score.name: score.value for score in scores if score.name in SHOWN}
    write_text(path, json.dumps({"protocol": references.protocol, "marks": marks}))
    return marks


def table(found: Mapping[str, Marks], floors: Mapping[str, float]) -> str:
    """The scores of all marks in Markdown; the last row is what photographs score."""
    head = ["", "minutes", "images", *(name.replace("_", " ") for name in SHOWN)]
    row = lambda cells: "| " + " | ".join(cells) + " |"
    shown = lambda values: [f"{values[name]:.3g}" for name in SHOWN]
    lines = [row(head), "|---|" + "--:|" * (len(head) - 1)]
    for name, marks in found.items():
        for mark in marks:
            counts = [f"{mark['minutes']:.1f}", f"{mark['images']:,.0f}"]
            lines.append(row([name, *counts, *shown(mark)]))
    return "\n".join([*lines, row(["real images", "", "", *shown(floors)])]) + "\n"


def chart(path: Path, found: Mapping[str, Marks], floors: Mapping[str, float]) -> None:
    """Draws the Frechet distance and the recall of each contestant over its minutes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("frechet", "recall")):
        for title, marks in found.items():
            minutes, values = ([mark[key] for mark in marks] for key in ("minutes", name))
            axes.plot(minutes, values, marker="o", label=title)
        axes.axhline(floors[name], color="black", linestyle=":", label="real images")
        axes.set(xlabel="minutes", ylabel=name, yscale="log" if name == "frechet" else "linear")
    axes.legend(fontsize="small")
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
