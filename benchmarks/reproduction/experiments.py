"""The experiments, and what the report says of each: only what it states or plots."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.results import EPOCH

Reading = tuple[int, float]  # epoch and value


class Experiment(NamedTuple):
    """One run.

    Attributes:
      config: a file of configs.
      title: as the report calls it.
      epochs: passes over the images that it shows.
      clean: whether it is trained on the clean photographs alone, where some are called so.
      grids: epochs whose samples the report shows.
      looks: others that we look at, where it shows few or none.
      seconds: of one of its epochs, about, which had `EPOCH` images; 0 where it tells none.
      readings: values that it states, or that were read off its plots, by the metric's name.
      result: what it says came of it.
    """

    config: str
    title: str
    epochs: int
    clean: bool = True
    grids: Sequence[int] = ()
    looks: Sequence[int] = ()
    seconds: float = 0.0
    readings: Mapping[str, Sequence[Reading]] = {}
    result: str = ""

    @property
    def rate(self) -> float:
        """Its images per second; 0 where it tells no time."""
        return EPOCH / self.seconds if self.seconds else 0.0


RALSGAN = Experiment("ralsgan", "RaLSGAN, Adam", 400, grids=(1, 10, 94, 100, 250, 400), seconds=40)
DCGAN_DEEP = Experiment(
    "dcgan_deep",
    "DCGAN, deep",
    405,
    grids=(10, 50, 200, 300, 405),
    seconds=30,
    readings={
        "d_loss": ((1, 1.23), (405, 0.36)),
        "g_loss": ((1, 7.3), (11, 2.85), (55, 2.8), (100, 2.8), (405, 3.0)),
    },
    result="varied fish with sharp outlines, clearly to be recognised",
)
BEGAN = Experiment(
    "began",
    "BEGAN",
    260,
    grids=(50, 200, 260),
    looks=(1, 10, 100),
    seconds=180,
    readings={"energy_ratio": ((260, 0.7),)},
    result="the ratio of energies comes to 0.7; soon the autoencoder makes a fish of anything",
)

# In the order in which they are trained, as time may not be enough for all.
EXPERIMENTS: dict[str, Experiment] = {
    "ralsgan": RALSGAN,
    "dcgan_deep": DCGAN_DEEP,
    "began": BEGAN,
    "dcgan_feature_matching": Experiment(
        "dcgan_feature_matching",
        "DCGAN, deep, feature matching",
        405,
        grids=(30, 120, 300, 405),
        seconds=30,
        readings={
            "d_loss": ((1, 1.15), (405, 0.36)),
            "g_loss": ((1, 7.65), (10, 4.2), (75, 3.1), (100, 3.1), (405, 2.9)),
        },
    ),
    "lsgan": Experiment("lsgan", "LSGAN, convolutional", 400, grids=(100, 300, 400), seconds=30),
    "dcgan_shallow": Experiment(
        "dcgan_shallow",
        "DCGAN, shallow",
        405,
        grids=(10, 150, 300, 405),
        seconds=30,
        readings={
            "d_loss": ((1, 1.2), (405, 0.55)),
            "g_loss": ((2, 3.9), (14, 1.8), (63, 3.6), (405, 2.65)),
        },
    ),
    "flat": Experiment("flat", "Our recipe before it grew", 400, looks=(10, 100, 250, 400)),
    "ralsgan_high_lr": Experiment(
        "ralsgan_high_lr",
        "RaLSGAN, learning rate 2e-3",
        50,
        looks=(1, 10, 25, 50),
        result="no sign of convergence; stopped after epoch 50",
    ),
    "ragan_sgd": Experiment(
        "ragan_sgd", "RaGAN, cross-entropy, SGD", 100, grids=(1, 20, 60, 100), seconds=40
    ),
    "lsgan_dense": Experiment(
        "lsgan_dense",
        "LSGAN, fully connected",
        400,
        grids=(10, 400),
        looks=(100,),
        readings={"d_loss": ((400, 0.04),), "g_loss": ((400, 1.06),)},
        result="outlines of fish by epoch 10; at 400 fish of coarse pixels",
    ),
    "ralsgan-all": RALSGAN._replace(title="RaLSGAN, all photographs", clean=False),
    "dcgan_deep-all": DCGAN_DEEP._replace(title="DCGAN, deep, all photographs", clean=False),
    "began-all": BEGAN._replace(title="BEGAN, all photographs", clean=False),
}
