"""The table of losses by name."""

from collections.abc import Callable
from typing import NamedTuple

from fish_jax.losses.base import Losses
from fish_jax.losses.energy import began, ebgan
from fish_jax.losses.relativistic import rabce, rahinge, ralsgan, rpgan, rphinge, rplsgan
from fish_jax.losses.standard import bce, hinge, lsgan, minimax, wgan


class Loss(NamedTuple):
    """An entry of `LOSSES`.

    Attributes:
      function: `(real, fake, ...) -> Losses`.
      summary: one line for people.
      takes: what it needs beside the scores: "" (nothing), "targets", "k" or "margin".
      energy: whether scores are energies, low for real images, of an autoencoder.
    """

    function: Callable[..., Losses]
    summary: str
    takes: str = ""
    energy: bool = False


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce, "cross-entropy, non-saturating (Goodfellow et al. 2014)", "targets"),
    "minimax": Loss(minimax, "cross-entropy, saturating (Goodfellow et al. 2014)"),
    "lsgan": Loss(lsgan, "least squares (Mao et al. 2017)", "targets"),
    "hinge": Loss(hinge, "hinge (Lim and Ye 2017)"),
    "wgan": Loss(wgan, "Wasserstein (Arjovsky et al. 2017)"),
    "rpgan": Loss(rpgan, "relativistic pairs, cross-entropy (Jolicoeur-Martineau 2018)"),
    "rplsgan": Loss(rplsgan, "relativistic pairs, least squares (Jolicoeur-Martineau 2019)"),
    "rphinge": Loss(rphinge, "relativistic pairs, hinge (Jolicoeur-Martineau 2019)"),
    "rabce": Loss(rabce, "relativistic average, cross-entropy (Jolicoeur-Martineau 2018)"),
    "ralsgan": Loss(ralsgan, "relativistic average, least squares (Jolicoeur-Martineau 2018)"),
    "rahinge": Loss(rahinge, "relativistic average, hinge (Jolicoeur-Martineau 2018)"),
    "ebgan": Loss(ebgan, "energy-based (Zhao et al. 2016)", "margin", energy=True),
    "began": Loss(began, "boundary equilibrium (Berthelot et al. 2017)", "k", energy=True),
}
