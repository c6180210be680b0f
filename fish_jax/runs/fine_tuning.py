"""The first state of a run that starts from the weights of another run."""

from pathlib import Path
from typing import Any

from fish_jax.errors import UserError
from fish_jax.gan.model import Gan
from fish_jax.gan.own import NETWORKS, Own, missing
from fish_jax.gan.state import TrainState, restart
from fish_jax.runs import config_file, sampling
from fish_jax.utils.terminal import announce
from fish_jax.utils.validation import shown


def start_from(initial: TrainState | str | Path, gan: Gan, seed: int, own: Own) -> TrainState:
    """The state at step 0 with the weights and the average of another run.

    Args:
      initial: a state of any step, or the folder of a run, whose newest checkpoint is taken.
      gan: the fixed parts of the new run.
      seed: the seed of the new run.
      own: the parts of the new run that its caller passes in; networks of the other run that are
        a caller's must be among them.

    Raises:
      UserError: no run, no checkpoint that can be read, or other networks; names the first array
        that differs.
    """
    source = "the initial state"
    if isinstance(initial, (str, Path)):
        source, initial = str(initial), _load(Path(initial), own)
        announce(f"starting from the weights of {source}, step {int(initial.step)}")
    if not isinstance(initial, TrainState):
        raise UserError(
            f"initial is {shown(initial)}; pass the folder of a run, or a state such as "
            'fish_jax.load("runs/other")[1]'
        )
    return restart(gan, seed, initial, source)


def _load(folder: Path, own: Own) -> TrainState:
    """The newest state of a run, with both networks."""
    remembered = config_file.read_config(folder).get("own", {})
    for name in NETWORKS & remembered.keys():
        if own.get(name) is None:
            raise UserError(f"{folder}: {missing(name, remembered[name]['name'])}")
    parts: Any = {name: own[name] for name in NETWORKS & remembered.keys()}
    return sampling.load(folder, **parts)[1]
