"""The table of losses by name, and the registration of a caller's losses."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax

from fish_jax.errors import UserError
from fish_jax.losses.base import Losses, Objective, labelled, stateless
from fish_jax.losses.energy import ebgan, equilibrium
from fish_jax.losses.relativistic import rabce, rahinge, ralsgan, rpgan, rphinge, rplsgan
from fish_jax.losses.standard import bce, hinge, lsgan, minimax, wgan
from fish_jax.utils import validation
from fish_jax.utils.validation import shown

NAME = validation.Kind(
    "a name of letters, digits, - and _, such as mine",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[\w-]{1,100}", value)),
)


class Loss(NamedTuple):
    """An entry of `LOSSES`.

    Attributes:
      make: the objective, from the fields of a config's section `loss`.
      summary: one line for people.
      energy: whether scores are energies, low for real images, of an autoencoder.
      labels: whether it compares scores with the labels of the config.
      name: the name of a caller's loss; "" for losses of the package.
    """

    make: Callable[[Any], Objective]
    summary: str = ""
    energy: bool = False
    labels: bool = False
    name: str = ""


# What a caller may pass in as a loss: `(real, fake) -> Losses`, or one with a state or more.
LossLike: TypeAlias = Callable[[jax.Array, jax.Array], Losses] | Objective | Loss


def _plain(function: Callable[..., Losses], summary: str) -> Loss:
    return Loss(lambda settings: stateless(function), summary)


def _labelled(function: Callable[..., Losses], summary: str) -> Loss:
    return Loss(lambda settings: labelled(function), summary, labels=True)


def _ebgan(settings: Any) -> Objective:
    return stateless(functools.partial(ebgan, margin=settings.margin))


def _began(settings: Any) -> Objective:
    return equilibrium(settings.gamma, settings.lambda_k)


LOSSES: dict[str, Loss] = {
    "bce": _labelled(bce, "cross-entropy, non-saturating (Goodfellow et al. 2014)"),
    "minimax": _plain(minimax, "cross-entropy, saturating (Goodfellow et al. 2014)"),
    "lsgan": _labelled(lsgan, "least squares (Mao et al. 2017)"),
    "hinge": _plain(hinge, "hinge (Lim and Ye 2017)"),
    "wgan": _plain(wgan, "Wasserstein (Arjovsky et al. 2017)"),
    "rpgan": _plain(rpgan, "relativistic pairs, cross-entropy (Jolicoeur-Martineau 2018)"),
    "rplsgan": _plain(rplsgan, "relativistic pairs, least squares (Jolicoeur-Martineau 2019)"),
    "rphinge": _plain(rphinge, "relativistic pairs, hinge (Jolicoeur-Martineau 2019)"),
    "rabce": _plain(rabce, "relativistic average, cross-entropy (Jolicoeur-Martineau 2018)"),
    "ralsgan": _plain(ralsgan, "relativistic average, least squares (Jolicoeur-Martineau 2018)"),
    "rahinge": _plain(rahinge, "relativistic average, hinge (Jolicoeur-Martineau 2018)"),
    "ebgan": Loss(_ebgan, "energy-based (Zhao et al. 2016)", energy=True),
    "began": Loss(_began, "boundary equilibrium (Berthelot et al. 2017)", energy=True),
}


@functools.cache
def objective_of(loss: Loss, settings: Any) -> Objective:
    """The objective of a loss for some settings; the same object each time, which programs share.

    Args:
      loss: an entry of `LOSSES`, or from `as_loss`.
      settings: fields of a config's section `loss`, hashable.
    """
    return loss.make(settings)


def as_loss(loss: LossLike, name: str = "") -> Loss:
    """A caller's loss as an entry like those of `LOSSES`.

    Args:
      loss: a function `(real, fake) -> Losses` of the scores of the whole batch, [N] each; an
        `Objective`, such as `stateful` makes; or a `Loss`.
      name: the name of the loss; "" for that of the function.

    Raises:
      UserError: `loss` is of another kind.
    """
    if not callable(loss) and not isinstance(loss, (Loss, Objective)):
        raise UserError(
            "a loss must be a function (real, fake) -> Losses, an Objective or a Loss of "
            f"fish_jax.losses, not {shown(loss)}; names of losses go into config.loss.name"
        )
    try:
        hash(loss)
    except TypeError:
        raise UserError(
            f"a loss of the type {type(loss).__name__} cannot be hashed, so it cannot be "
            "distinguished from other losses; use a function, or a frozen dataclass with __call__"
        ) from None
    return _entry(loss, name)


@functools.cache
def _entry(loss: LossLike, name: str) -> Loss:
    """The result of `as_loss`: equal for equal losses, so that `objective_of` finds it again."""
    if isinstance(loss, Loss):
        return loss._replace(name=name or loss.name or name_of(loss.make))
    if isinstance(loss, Objective):
        return Loss(lambda settings: loss, name=name or name_of(loss.apply))
    return Loss(lambda settings: stateless(loss), name=name or name_of(loss))


def name_of(function: Any) -> str:
    """The name of a function, or of the class of another object."""
    return getattr(function, "__name__", "") or type(function).__name__


def register(name: str, loss: LossLike, summary: str = "") -> None:
    """Registers a loss under a name, for `config.loss.name` and `compare`.

    Args:
      name: the name of the loss. A registered name is replaced.
      loss: as in `as_loss`.
      summary: one line for people.

    Raises:
      UserError: the name belongs to the package or is not plain, or `loss` is not a loss.
    """
    validation.check("the name of a loss", name, NAME)
    if name in LOSSES and not LOSSES[name].name:
        raise UserError(f"{name} is already a loss of fish_jax; choose another name for yours")
    entry = as_loss(loss, name)
    LOSSES[name] = entry._replace(summary=summary or entry.summary)
