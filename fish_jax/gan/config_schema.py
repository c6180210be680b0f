"""The schema of a config: what each field of configs/default.py, and of a comparison, may be."""

from typing import Any

from ml_collections import ConfigDict

from fish_jax.data import augment
from fish_jax.data.decoding import CHANNELS, FITS, RESAMPLES
from fish_jax.gan import optimizers
from fish_jax.losses import LOSSES
from fish_jax.losses.penalties import FEATURE_MATCHING
from fish_jax.networks import spec
from fish_jax.utils import validation
from fish_jax.utils.validation import BOOLEAN, LIMIT, NOT_NEGATIVE, SHARE, TEXT, choice, whole


def is_policy(value: Any) -> bool:
    """Whether a value names augmentations, with commas between; raises ValueError if one is not."""
    if not isinstance(value, str):
        return False
    augment.read_policy(value)
    return True


def is_own(value: Any) -> bool:
    """Whether a value is a record of passed parts, as `programs.remember` writes it."""
    named = lambda part: _is_section(part) and isinstance(part.get("name"), str)
    if not _is_section(value):
        return False
    return all(name == "traced_with" or named(value[name]) for name in value)


def _is_section(value: Any) -> bool:
    return isinstance(value, (dict, ConfigDict))


LABEL = validation.Kind(
    "(low, high), finite numbers with low <= high",
    lambda value: validation.pair(validation.FINITE).accepts(value) and value[0] <= value[1],
)
POLICY = validation.Kind(
    f"empty or some of {', '.join(augment.AUGMENTATIONS)} with commas between", is_policy
)
COUNT = whole(1)
# The scores that choose a best checkpoint, and which end of each is better.
BEST = {
    "frechet": "low",
    "kernel": "low",
    "sliced_wasserstein": "low",
    "precision": "high",
    "recall": "high",
    "coverage": "high",
}
KEPT = validation.Kind(
    f"empty or one of {', '.join(BEST)}",
    lambda value: isinstance(value, str) and value in ("", *BEST),
)
IMAGES = validation.Kind(
    "a tuple of whole numbers above 0, one for each level, or ()",
    lambda value: isinstance(value, (list, tuple)) and all(map(COUNT.accepts, value)),
)
SEED = whole(0, 2**32 - 1)
OWN = validation.Kind("the names of parts that were passed from Python", is_own, needed=False)
CONFIG: validation.Kinds = {
    "name": TEXT,
    "seed": SEED,
    "height": COUNT,
    "width": COUNT,
    "batch_size": COUNT,
    "precision": choice(spec.PRECISIONS),
    "epochs": whole(0),
    "images": IMAGES,
    "devices": whole(0),
    "freeze": whole(0),
    "data": {
        "path": TEXT,
        "count": COUNT,
        "fit": choice(FITS),
        "resample": choice(RESAMPLES),
        "channels": CHANNELS,
        "include": TEXT,
        "seed": whole(0, 2**63 - 1),
        "holdout": SHARE,
        "flips": BOOLEAN,
        "cache": TEXT,
        "device_gigabytes": LIMIT,
    },
    "latents": {"size": COUNT, "distribution": choice(("normal", "uniform"))},
    "loss": {
        "name": choice(LOSSES),
        "d_factor": NOT_NEGATIVE,
        "g_factor": NOT_NEGATIVE,
        "real_label": LABEL,
        "fake_label": LABEL,
        "generator_label": LABEL,
        "separate_latents": BOOLEAN,
        "feature_matching": choice(("none", *FEATURE_MATCHING)),
        "feature_matching_weight": NOT_NEGATIVE,
        "gamma": NOT_NEGATIVE,
        "lambda_k": NOT_NEGATIVE,
        "energy": choice(spec.ENERGIES),
        "margin": validation.POSITIVE,
        "pulling_away": NOT_NEGATIVE,
        "gradient_penalty": NOT_NEGATIVE,
        "r1": NOT_NEGATIVE,
        "r2": NOT_NEGATIVE,
        "penalty_every": COUNT,
        "clip": NOT_NEGATIVE,
        "instance_noise": NOT_NEGATIVE,
        "augment": POLICY,
        "discriminator_steps": COUNT,
    },
    "average": {"half_life": NOT_NEGATIVE, "ramp_up": validation.POSITIVE},
    "schedule": {
        "images": whole(0),
        "learning_rate": NOT_NEGATIVE,
        "forgetting": NOT_NEGATIVE,
        "penalty": NOT_NEGATIVE,
    },
    "optimizer": optimizers.SETTINGS,
    "generator": spec.TABLE,
    "discriminator": spec.TABLE | {"decoder": validation.ROWS},
    "log_every_steps": COUNT,
    "sample_every_epochs": COUNT,
    "evaluate_every_epochs": whole(0),
    "checkpoint_minutes": LIMIT,
    "keep_checkpoints": COUNT,
    "own": OWN,
    "keep_best": KEPT,
}
# The `compare` section of configs/compare.py.
COMPARE: validation.Kinds = {
    "losses": TEXT,
    "seeds": whole(1, 1000),
    "marks": COUNT,
    "count": whole(0),
    "advised": BOOLEAN,
}


def check_config(config: Any) -> None:
    """Checks every field of a config on its own, except the rows of its layers.

    Args:
      config: anything; right is what `configs/default.py` makes, with other values.

    Raises:
      UserError: the first field that is missing, unknown or of a wrong value.
    """
    validation.check_fields(config, {**CONFIG, **_of_own_loss(config)})
    data = config["data"]
    count = 1 if data["path"] else data["count"]
    height, width = config["height"], config["width"]
    images = f"{count} images of {height} x {width} pixels"
    validation.check_memory(images, count * height * width * data["channels"])


def _of_own_loss(config: Any) -> validation.Kinds:
    """The schema of `loss` for a run whose loss was passed in: it may have any name."""
    if not _is_section(config) or "own" not in config or not is_own(config["own"]):
        return {}
    loss: Any = CONFIG["loss"]
    return {"loss": {**loss, "name": TEXT}} if "loss" in config["own"] else {}
