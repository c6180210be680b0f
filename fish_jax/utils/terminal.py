"""Messages and progress bars on stderr."""

import contextlib
import sys
from collections.abc import Iterator

from tqdm import tqdm

from fish_jax.utils import multihost
from fish_jax.utils.log import LOGGER
from fish_jax.utils.messages import printable_lines
from fish_jax.utils.progress import Advance, Begin


def announce(message: str) -> None:
    """Logs a message and prints it on stderr, above a progress bar if there is one.

    Of several processes only the main one prints.
    """
    message = printable_lines(message)
    LOGGER.info("%s", message)
    if multihost.is_main_process():
        tqdm.write(message, file=sys.stderr)


BAR = "{desc} {percentage:3.0f}%|{bar:20}| {rate_fmt}, {remaining} left{postfix}"


def image_bar(total: int, done: int, stays: bool = True) -> tqdm:
    """A progress bar that counts images and shows their rate and the time left.

    Of several processes only the main one shows it.

    Args:
      total: number of images.
      done: how many of them were done before.
      stays: whether the bar stays in the terminal once it is closed.
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
        # In a file each change is a new line: there, one every ten seconds.
        mininterval=0.2 if sys.stderr.isatty() else 10,
        bar_format=BAR,
    )


def advance(bar: tqdm, images: int, left: float) -> None:
    """Advances a progress bar whose images do not all take the same time.

    Args:
      bar: from `image_bar`.
      images: done since the last call.
      left: images of the present kind that take as long as all that are left.
    """
    if bar.disable:
        return
    rate = bar.format_dict["rate"] or (bar.n - bar.initial) / max(bar.format_dict["elapsed"], 1e-9)
    if rate:
        bar.bar_format = BAR.replace("{remaining}", tqdm.format_interval(left / rate))
    bar.update(images)


@contextlib.contextmanager
def stage_bars() -> Iterator[Begin]:
    """A progress bar for each stage of a long task, gone when the next stage begins.

    Yields:
      A function that begins a stage. Its arguments are the stage's name and number of images; it
      returns a function to call with the number of images done since the last call.
    """
    with contextlib.ExitStack() as open_bars:

        def begin(what: str, total: int) -> Advance:
            open_bars.close()
            bar = open_bars.enter_context(image_bar(total, 0, stays=False))
            bar.set_description_str(what)
            return bar.update

        yield begin
