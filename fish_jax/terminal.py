"""What a run tells the person who waits for it."""

import sys

from tqdm import tqdm

from fish_jax import processes
from fish_jax.log import LOGGER


def say(message: str) -> None:
    """Logs a message and prints it on stderr, above a progress bar where there is one.

    Of several processes only the first does, and so with the bar.
    """
    LOGGER.info("%s", message)
    if processes.leads():
        tqdm.write(message, file=sys.stderr)


def image_bar(total: int, done: int) -> tqdm:
    """A progress bar that counts images and shows their rate and the time left.

    Args:
      total: images of the whole run.
      done: images of its part that an earlier start did.
    """
    return tqdm(
        total=total,
        initial=done,
        disable=not processes.leads(),
        unit=" images",
        unit_scale=True,
        smoothing=0.05,
        dynamic_ncols=True,
        # A file is no place for a line that moves: there, one every ten seconds.
        mininterval=0.2 if sys.stderr.isatty() else 10,
        bar_format="{desc} {percentage:3.0f}%|{bar:20}| {rate_fmt}, {remaining} left{postfix}",
    )
