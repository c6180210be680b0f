"""Parts that a caller passes instead of those a config names: loss, networks, optimisers.

A run remembers what was passed in (`programs`). Where it is read and a part is not passed in
again, a stand-in takes its place: images are drawn without the loss, and what does need a part asks
for it by its name.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypedDict

import flax.linen as nn
import jax
import optax

from fish_jax.errors import UserError
from fish_jax.losses import LOSSES, Loss, Objective, Penalty
from fish_jax.losses.penalties import Critic, Features
from fish_jax.losses.registry import LossLike, as_loss
from fish_jax.networks.adapters import AbsentDiscriminator, OwnDiscriminator, OwnGenerator
from fish_jax.utils import validation
from fish_jax.utils.config import Config
from fish_jax.utils.validation import hint, shown


class Own(TypedDict, total=False):
    """Parts that a caller may pass; each replaces the part that the config names.

    Attributes:
      loss: a function `(real, fake) -> Losses` of the scores of the whole batch, [N] each; an
        `Objective`, as `losses.stateful` makes one with a state of its own; or a `Loss`.
      penalty: a function `(critic, images) -> [N]` whose mean at real images D's loss has, too; or
        a `Penalty`, with other images and a weight. Those of the config stay.
      feature_matching: a function `(real, fake) -> number` of D's features, [N, ...] each, times
        `loss.feature_matching_weight` in G's loss.
      generator: a Flax module, `module(latents, train=...)` to images [N, H, W, C] in [-1, 1].
      discriminator: a Flax module, `module(images, train=...)` to scores [N], or to (scores,
        features) or (scores, features, codes). See `networks.adapters` for both.
      generator_optimizer, discriminator_optimizer: optax transformations, with their own learning
        rates.
    """

    loss: LossLike | None
    penalty: Penalty | Callable[[Critic, Any], Any] | None
    feature_matching: Features | None
    generator: nn.Module | None
    discriminator: nn.Module | None
    generator_optimizer: optax.GradientTransformation | None
    discriminator_optimizer: optax.GradientTransformation | None


PLACES = ("real", "fake", "between")  # of `Penalty.at`
# Parts that are not needed to draw images, with the fields of a state that are theirs.
STATE_FIELDS = {
    "loss": ("loss_state",),
    "discriminator": ("discriminator_params", "discriminator_stats", "discriminator_optimizer"),
    "generator_optimizer": ("generator_optimizer",),
    "discriminator_optimizer": ("discriminator_optimizer",),
}


class Parts(NamedTuple):
    """The parts of a run: each from `Own`, or a stand-in for what is not passed in.

    None means the part that the config describes; the loss is never None.

    Attributes:
      loss: an entry as of `LOSSES`.
      penalty, feature_matching: of D's loss and of G's.
      generator, discriminator: the networks.
      generator_optimizer, discriminator_optimizer: optax transformations.
    """

    loss: Loss
    penalty: Penalty | None = None
    feature_matching: Features | None = None
    generator: OwnGenerator | None = None
    discriminator: OwnDiscriminator | AbsentDiscriminator | None = None
    generator_optimizer: optax.GradientTransformation | None = None
    discriminator_optimizer: optax.GradientTransformation | None = None


NETWORKS = {"generator": OwnGenerator, "discriminator": OwnDiscriminator}


def read_parts(config: Config, own: Own, dtype: jax.typing.DTypeLike) -> Parts:
    """Checks the passed parts, and adds those that the run of a config remembers.

    Args:
      config: the config of a run; one that was read from its folder has a section `own`.
      own: what is passed in.
      dtype: the dtype of the outputs of networks.

    Raises:
      UserError: a part is unknown or of the wrong kind, or the generator of the run is missing.
    """
    parts = given(config, own)
    for name, part in parts.items():
        _check(name, part)
        if name in NETWORKS:
            parts[name] = NETWORKS[name].of(part, dtype)
        if name == "penalty":
            parts[name] = part if isinstance(part, Penalty) else Penalty(part)
    for name in absent(config, own):
        parts[name] = _stand_in(name, config["own"][name]["name"], **_facts(config, name))
    parts["loss"] = as_loss(parts["loss"]) if "loss" in parts else LOSSES[config["loss"]["name"]]
    return Parts(**parts)


def given(config: Config, own: Own) -> dict[str, Any]:
    """The caller's parts: those passed in, and a registered loss.

    Raises:
      UserError: a part is unknown.
    """
    for name in own:
        if name not in Own.__annotations__:
            raise UserError(f"there is no part {shown(name)}{hint(name, Own.__annotations__)}")
    parts: dict[str, Any] = {name: part for name, part in own.items() if part is not None}
    named = LOSSES.get(config["loss"]["name"])
    if named is not None and named.name:
        parts.setdefault("loss", named)
    return parts


def absent(config: Config, own: Own) -> list[str]:
    """The parts that the run of a config remembers and that are not passed in again."""
    missing = Own.__annotations__.keys() - given(config, own)
    return [name for name in config.get("own", {}) if name in missing]


def absent_fields(config: Config, own: Own) -> frozenset[str]:
    """The fields of a state that cannot be restored without the parts of `absent`."""
    return frozenset(field for name in absent(config, own) for field in STATE_FIELDS.get(name, ()))


def missing(name: str, kept: str) -> str:
    """The message about a remembered part that is not passed again."""
    more = ", or use a config file that registers it" if name == "loss" else ""
    return (
        f"this run was trained with a {name.replace('_', ' ')} passed from Python, {kept}; pass "
        f"it again as {name}=...{more}"
    )


def _ask(name: str, kept: str) -> NoReturn:
    raise UserError(missing(name, kept))


def _facts(config: Config, name: str) -> dict[str, Any]:
    """The facts about a part that its stand-in needs, besides its name."""
    return {"energy": bool(config["own"][name].get("energy"))} if name == "loss" else {}


@functools.cache  # Gans of one run are equal, and share programs
def _stand_in(name: str, kept: str, energy: bool = False) -> Any:
    """The stand-in for a part that is not passed."""
    refuse: Callable[..., Any] = lambda *_: _ask(name, kept)
    match name:
        case "loss":
            return Loss(lambda settings: Objective(dict, refuse), "", energy, True, kept)
        case "penalty":
            return Penalty(refuse)
        case "feature_matching":
            return refuse
        case "discriminator":
            return AbsentDiscriminator(missing(name, kept))
        case "generator_optimizer" | "discriminator_optimizer":
            return optax.GradientTransformation(lambda params: optax.EmptyState(), refuse)
    _ask(name, kept)


def _check(name: str, part: Any) -> None:
    """Refuses a part of the wrong kind; losses and networks are checked where they are read."""
    if name.endswith("_optimizer") and not (hasattr(part, "init") and hasattr(part, "update")):
        raise UserError(
            f"{name} must be an optax transformation, such as optax.adam(1e-4), not {shown(part)}"
        )
    if name == "feature_matching" and not callable(part):
        raise UserError(
            f"feature_matching must be a function (real, fake) of features, not {shown(part)}; to "
            "use one of fish_jax, set config.loss.feature_matching"
        )
    if name == "penalty" and not isinstance(part, Penalty) and not callable(part):
        raise UserError(
            f"penalty must be a function (critic, images) or a Penalty, not {shown(part)}"
        )
    if isinstance(part, Penalty):
        validation.check("the images of a penalty", part.at, validation.choice(PLACES))
        validation.check("the weight of a penalty", part.weight, validation.NOT_NEGATIVE)
        validation.check("the name of a penalty", part.name, validation.choice(["penalty"]))
