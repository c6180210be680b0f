"""What a run does and when, by Python's logging; `workdir.opened` writes it to log.txt."""

import contextlib
import logging
from collections.abc import Iterator

# Lines of progress are not for the terminal: who wants them gives this logger a handler.
LOGGER = logging.getLogger("fish_jax")
LOGGER.setLevel(logging.INFO)
LOGGER.propagate = False


@contextlib.contextmanager
def phase(what: str) -> Iterator[None]:
    """Logs when something begins, and when it has ended or was broken off by an exception."""
    LOGGER.info("begin: %s", what)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # what broke it off is told
            LOGGER.info("broken off: %s", what)
        raise
    LOGGER.info("end: %s", what)
