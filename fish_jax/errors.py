"""Exceptions that end a run early: a mistake of the user, a divergence, or a signal."""


class UserError(Exception):
    """A mistake in a flag, file, field or value, described in one sentence.

    The command line prints the message without a traceback and exits with status 1.
    The message names what is wrong and what would be right.
    """


class Diverged(UserError):
    """A loss, a parameter or a statistic of a run is not finite.

    Attributes:
      step: the first after which it was so, from 1.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Stopped(Exception):
    """A run was asked to stop, and has saved a checkpoint.

    Attributes:
      exit_code: 128 + the number of the signal, as shells have it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
