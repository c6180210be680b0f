"""The table of losses by name."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from fish_jax.losses.base import Losses, Objective, labelled, stateless
from fish_jax.losses.energy import ebgan, equilibrium
from fish_jax.losses.relativistic import rabce, rahinge, ralsgan, rpgan, rphinge, rplsgan
from fish_jax.losses.standard import bce, hinge, lsgan, minimax, wgan


class Loss(NamedTuple):
    """An entry of `LOSSES`.

    Attributes:
      make: the objective, from the fields of a config's section `loss`.
      summary: one line for people.
      energy: whether scores are energies, low for real images, of an autoencoder.
      labels: whether it compares scores with the labels of the config.
    """

    make: Callable[[Any], Objective]
    summary: str
    energy: bool = False
    labels: bool = False


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
