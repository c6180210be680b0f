"""The log of a run, by Python's logging; `runs.directory.open_run` writes it to log.txt."""

import contextlib
import logging
from collections.abc import Iterator

# Progress is not for the terminal: whoever wants to see these records adds a handler.
LOGGER = logging.getLogger("fish_jax")
LOGGER.setLevel(logging.INFO)
LOGGER.propagate = False


@contextlib.contextmanager
def phase(what: str) -> Iterator[None]:
    """Logs the beginning of a phase, and its end or the exception that broke it off."""
    LOGGER.info("begin: %s", what)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the exception itself matters more
            LOGGER.info("broken off: %s", what)
        raise
    LOGGER.info("end: %s", what)
