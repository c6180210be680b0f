"""A trained generator as one file that needs nothing of this project, and its model card.

artifact = export_generator(gan, state)         the file's bytes
write(folder, contents("runs/mine"))            the file, card.json, card.md and samples.png
"""

import hashlib
import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from fish_jax.errors import UserError
from fish_jax.evaluation import scores_file
from fish_jax.evaluation.scores import INCEPTION_SCORES, SCORES, Score
from fish_jax.gan import inference
from fish_jax.gan.inference import generate
from fish_jax.gan.model import Gan
from fish_jax.gan.state import TrainState, last_weights
from fish_jax.runs import config_file, sampling
from fish_jax.utils import pictures
from fish_jax.utils.files import naming, replacing
from fish_jax.utils.log import phase

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
GENERATOR, CARD, TEXT, PICTURE = "generator.jax", "card.json", "card.md", "samples.png"
# How a latent is drawn from its key, with jax.random, in the script of the card.
DRAWN = {"normal": "normal(key, (size,))", "uniform": "uniform(key, (size,), float, -1, 1)"}


def export_generator(gan: Gan, state: TrainState) -> bytes:
    """The generator and its weights as an artifact of `jax.export`.

    Args:
      gan: the fixed parts of the run.
      state: of any step; its average is taken, where it has one.

    Returns:
      What `jax.export.deserialize` makes a function of, from latents, [N, latent_size] of the type
      of the parameters, to uint8 [N, H, W, 3]; for any N, and on all of `PLATFORMS`.
    """
    (count,) = export.symbolic_shape("N")
    latents = jax.ShapeDtypeStruct((count, gan.latent_size), gan.dtype)
    render = jax.jit(lambda latents: generate(state, latents, gan))
    return bytes(export.export(render, platforms=PLATFORMS)(latents).serialize())


def contents(run: Path, averaged: bool = True) -> dict[str, bytes]:
    """The files of an export, by their names: the generator, its cards and sixteen samples.

    Args:
      run: the folder of a run, whose newest checkpoint is taken.
      averaged: as of `sampling.load`.

    Raises:
      UserError: no run, or no checkpoint that can be read.
    """
    gan, restored = sampling.restore(run)
    state = restored.state if averaged else last_weights(restored.state)
    with phase("export"):
        artifact = export_generator(gan, state)
        samples = inference.render(gan, state, range(pictures.PREVIEW_COUNT))
    scores = scores_file.read_scores(run, int(state.step), bool(state.generator_average))
    card = describe(gan, state, config_file.read_config(run), restored.progress, scores)
    card["sha256"] = hashlib.sha256(artifact).hexdigest()
    return {  # the card first: by it an export that was cut off is known, and may be written anew
        CARD: (json.dumps(card, indent=2) + "\n").encode(),
        GENERATOR: artifact,
        TEXT: to_markdown(card).encode(),
        PICTURE: pictures.to_png(pictures.grid(samples, pictures.PREVIEW_ROWS), 800),
    }


def write_export(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes what `contents` gives, each file whole or not at all.

    Args:
      folder: made if it does not exist.
      files: by name.

    Returns:
      The path of the card for people.

    Raises:
      UserError: the folder holds files of these names that are no export's.
      OSError: a file cannot be written; names it.
    """
    others = [name for name in files if (folder / name).exists()]
    if others and not (folder / CARD).exists():
        raise UserError(f"{folder} holds a {others[0]} that is no export's; choose another --out")
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)
    return folder / TEXT


def describe(
    gan: Gan,
    state: TrainState,
    config: Mapping[str, Any],
    progress: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """All that a model card tells but for the file, in JSON's types.

    Args:
      gan: the fixed parts of the run.
      state: what is exported.
      config: of the run. Of its paths the last part is told alone: the others are of one machine.
      progress: of the checkpoint.
      scores: as `evaluation.read_scores` has them.
    """
    height, width = gan.image_size
    data = {name: value for name, value in config["data"].items() if name != "cache"}
    data["path"] = Path(data["path"]).absolute().name if data["path"] else ""
    weights = state.generator_average or {"params": state.generator_params}
    return {
        "name": config["name"],
        "file": GENERATOR,
        "takes": {"latents": f"{np.dtype(gan.dtype)} [N, {gan.latent_size}]"},
        "gives": {"images": f"uint8 [N, {height}, {width}, 3]"},
        "latents": {"size": gan.latent_size, "distribution": gan.latent_distribution},
        "seed": "the key of a latent is jax.random.key(seed)",
        "seeds": f"0 to {pictures.PREVIEW_COUNT - 1} in {PICTURE}; 0, 1, ... in the scores",
        "platforms": list(PLATFORMS),
        "weights": "average" if state.generator_average else "last",
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(weights["params"])),
        "steps": int(state.step),
        "images_seen": int(state.step) * config["batch_size"],
        "data": {"images": progress["images"], "digest": progress["data"]},
        "scores": scores,
        "config": {**config, "data": data},
        "versions": {"jax": jax.__version__},
    }


def to_markdown(card: Mapping[str, Any]) -> str:
    """The card for people, with a script that renders its picture's seeds."""
    source = card["config"]["data"]["path"] or "drawings of fish that come with fish_jax"
    fields = {
        **card,
        "source": source,
        "count": f"{card['data']['images']:,}",
        "parameters": f"{card['parameters']:,}",
        "steps": f"{card['steps']:,}",
        "images_seen": f"{card['images_seen']:,}",
        "loss": card["config"]["loss"]["name"],
        "shape": card["gives"]["images"],
        "size": card["latents"]["size"],
        "draw": DRAWN[card["latents"]["distribution"]],
        "scores": _score_table(card["scores"]),
        "platforms": ", ".join(card["platforms"]),
        "jax": card["versions"]["jax"],
    }
    template = (Path(__file__).parent / TEXT).read_text()
    return string.Template(template).substitute(fields)


def _score_table(scores: Mapping[str, Any] | None) -> str:
    if scores is None:
        return "Not judged: `--mode=evaluate` before the export tells scores of this checkpoint."
    lines = ["| | generated | 95 % of it | real images |", "|---|--:|--:|--:|"]
    for own in scores["scores"]:
        score, kinds = Score(**own), SCORES | INCEPTION_SCORES
        title = kinds[score.name].title if score.name in kinds else score.name.replace("_", " ")
        between = f"{score.low:.4g} to {score.high:.4g}" if score.low is not None else ""
        lines.append(f"| {title} | {score.value:.4g} | {between} | {score.floor:.4g} |")
    return "\n".join([*lines, "", f"{scores['protocol']}."])
