"""The training of the judge's encoder, which tests leave out unless they ask for it."""

import contextlib
from collections.abc import Iterator

import pytest

from fish_jax.evaluation.features import encoder

TRAIN = encoder.train
# Before a script's name: Python's arguments that run it with an encoder of few steps.
BRIEFLY = (
    "-c",
    """
import runpy, sys
from fish_jax.evaluation.features import encoder
encoder.STEPS, sys.argv = 3, sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
""",
)


@contextlib.contextmanager
def untrained() -> Iterator[None]:
    """An encoder keeps its random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "train", lambda images, seed, on_progress: encoder.init(seed))
        yield


@contextlib.contextmanager
def trained(steps: int) -> Iterator[None]:
    """An encoder is trained for at most that many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "train", TRAIN)
        patch.setattr(encoder, "STEPS", steps)
        yield
