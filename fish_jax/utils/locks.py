"""Locks on open files: they end with the process that holds them, however it ends."""

from typing import IO

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None


def take(file: IO[bytes]) -> bool:
    """Locks an open file until it is closed, unless that is done already.

    Args:
      file: open for writing. Another that is open on the same path counts as another, also within
        one process.

    Returns:
      Whether nobody else has it locked; always so where the system has no such locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True
