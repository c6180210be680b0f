"""The training of the judge's encoder, which tests leave out unless they ask for it."""

import contextlib
from collections.abc import Iterator

import pytest

from fish_jax.evaluation.features import encoder

TRAIN = encoder.train


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
