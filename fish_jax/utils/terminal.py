"""What a run tells the person who waits for it."""

import contextlib
import sys
from collections.abc import Iterator

from tqdm import tqdm

from fish_jax.utils import multihost
from fish_jax.utils.log import LOGGER
from fish_jax.utils.progress import Advance, Begin


def announce(message: str) -> None:
    """Logs a message and prints it on stderr, above a progress bar where there is one.

    Of several processes only the first does, and so with the bar.
    """
    LOGGER.info("%s", message)
    if multihost.is_main_process():
        tqdm.write(message, file=sys.stderr)


def image_bar(total: int, done: int, stays: bool = True) -> tqdm:
    """A progress bar that counts images and shows their rate and the time left.

    Args:
      total: images of the whole run.
      done: images of its part that an earlier start did.
      stays: whether it is still there once it is closed.
    """
    return tqdm(
        total=total,
        initial=done,
        leave=stays,
        disable=not multihost.is_main_process(),
        unit=" images",
        unit_scale=True,
        smoothing=0.05,
        dynamic_ncols=True,
        # A file is no place for a line that moves: there, one every ten seconds.
        mininterval=0.2 if sys.stderr.isatty() else 10,
        bar_format="{desc} {percentage:3.0f}%|{bar:20}| {rate_fmt}, {remaining} left{postfix}",
    )


@contextlib.contextmanager
def stage_bars() -> Iterator[Begin]:
    """A progress bar for each stage of an evaluation, gone when the next one begins.

    Yields:
      A function that begins a stage, from its name and number of images, and returns what is to be
      called with the number of images done since.
    """
    with contextlib.ExitStack() as open_bars:

        def begin(what: str, total: int) -> Advance:
            open_bars.close()
            bar = open_bars.enter_context(image_bar(total, 0, stays=False))
            bar.set_description_str(what)
            return bar.update

        yield begin
