"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A mistake in a flag, file, field or value, told in one sentence.

    `main.py` prints the message without a traceback and exits with status 1.
    The message names what is wrong and what would be right.
    """
