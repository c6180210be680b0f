"""Exports a generator as a file that runs without this package, with a model card.

export_generator(gan, state)                        the file's bytes
write_export(folder, contents(Path("runs/mine")))   the file, card.json, card.md and samples.png
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import jax
import jinja2
import numpy as np
from jax import export

from fish_jax.data.dataset import GIVEN
from fish_jax.errors import UserError
from fish_jax.evaluation import scores_file
from fish_jax.evaluation.scores import kind_of
from fish_jax.gan import inference
from fish_jax.gan.compilation import check_jit
from fish_jax.gan.model import Gan
from fish_jax.gan.own import Own
from fish_jax.gan.state import TrainState, last_weights
from fish_jax.runs import config_file, sampling
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.serving.generator import Fields, facts
from fish_jax.utils import pictures
from fish_jax.utils.files import remove_partial, replacing
from fish_jax.utils.log import phase
from fish_jax.utils.messages import rounded
from fish_jax.utils.seeds import IMPLEMENTATION

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
GENERATOR, CARD, TEXT, PICTURE = "generator.jax", "card.json", "card.md", "samples.png"
# The file that the script of the card writes, by channels: formats that need no encoder.
PORTABLE = {
    1: {"name": "samples.pgm", "header": r"P5 %d %d 255\n"},
    3: {"name": "samples.ppm", "header": r"P6 %d %d 255\n"},
    4: {
        "name": "samples.pam",
        "header": r"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n",
    },
}
# How a latent is drawn from its key, with jax.random, in the script of the card.
DRAWN = {"normal": "normal(key, (size,))", "uniform": "uniform(key, (size,), float, -1, 1)"}


def export_generator(gan: Gan, state: TrainState) -> bytes:
    """Exports a generator and its weights as an artifact of `jax.export`.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step; its average is taken, where it has one.

    Returns:
      What `jax.export.deserialize` makes a function of, from latents, [N, latent_size] of the type
      of the parameters, to uint8 [N, H, W, C]; for any N, and on all of `PLATFORMS`.

    Raises:
      UserError: a caller's generator needs to know N.
    """
    check_jit()
    (count,) = export.symbolic_shape("N")
    latents = jax.ShapeDtypeStruct((count, gan.latent_size), gan.dtype)
    render = jax.jit(lambda latents: inference.generate(state, latents, gan))
    try:
        return bytes(export.export(render, platforms=PLATFORMS)(latents).serialize())
    except TypeError as error:
        if "_DimExpr" not in str(error):
            raise
        raise UserError(
            "the generator cannot be exported for a variable batch size: it uses the batch size "
            "as a Python integer; write x.shape[0] for len(x), and reshape(-1, ...)"
        ) from error


def contents(
    run: Path, averaged: bool = True, checkpoint: str | int = NEWEST, **own: Unpack[Own]
) -> dict[str, bytes]:
    """Makes the files of an export, by name: the generator, its cards and sixteen samples.

    Args:
      run: the folder of a run.
      averaged, checkpoint, **own: as in `sampling.load`.

    Raises:
      UserError: no run, no such checkpoint, or none that can be read.
    """
    gan, restored = sampling.restore(run, checkpoint, **own)
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
        TEXT: to_markdown(card).encode(errors="backslashreplace"),  # names may be no UTF-8
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
        raise UserError(
            f"{folder} holds a {others[0]} that is not from an export; choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder, f"(?:{'|'.join(map(re.escape, files))})")
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)
    return folder / TEXT


def describe(
    gan: Gan, state: TrainState, config: Fields, progress: Fields, scores: Fields | None
) -> dict[str, Any]:
    """The fields of a model card but for the file's checksum, in JSON's types.

    Args:
      gan: the fixed parts of the run.
      state: what is exported.
      config: the config of the run. Of its paths only the last part is kept: the others are of one
        machine.
      progress: the progress of the checkpoint.
      scores: as `scores_file.read_scores` has them.
    """
    own = facts(gan, state, config, progress)
    data = {name: value for name, value in config["data"].items() if name != "cache"}
    data["path"] = Path(data["path"]).absolute().name if data["path"] else ""
    return {
        "name": config["name"],
        "file": GENERATOR,
        "takes": {"latents": f"{np.dtype(gan.dtype)} [N, {gan.latent_size}]"},
        "gives": {"images": f"uint8 [N, {own['height']}, {own['width']}, {own['channels']}]"},
        "latents": {"size": gan.latent_size, "distribution": gan.latent_distribution},
        "seed": f"the key of a latent is jax.random.key(seed, impl={IMPLEMENTATION!r})",
        "seeds": f"0 to {pictures.PREVIEW_COUNT - 1} in {PICTURE}; 0, 1, ... in the scores",
        "platforms": list(PLATFORMS),
        "weights": own["weights"],
        "parameters": own["parameters"],
        "steps": own["step"],
        "images_seen": own["images_seen"],
        "data": {"images": own["trained_on"], "digest": progress["data"]},
        "scores": scores,
        "config": {**config, "data": data},
        "versions": {"jax": jax.__version__},
    }


def to_markdown(card: Fields) -> str:
    """Writes the card for people, with a script that renders the seeds of its picture."""
    draw, title = DRAWN[card["latents"]["distribution"]], lambda name: kind_of(name).title
    text = Path(__file__).with_name(TEXT).read_text(encoding="utf-8")
    template = jinja2.Template(
        text, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    number = lambda value: "" if value is None else rounded(value)
    data = card["config"]["data"]
    origins = {"": "of drawn fish that come with fish_jax", GIVEN: "given from Python"}
    origin, drawn = origins.get(data["path"], f"of {data['path']}"), PORTABLE[data["channels"]]
    return template.render(card, draw=draw, drawn=drawn, origin=origin, title=title, number=number)
