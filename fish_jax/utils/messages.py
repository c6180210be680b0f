"""Names and errors in words that a terminal can print."""


def printable(name: str) -> str:
    """Writes what cannot be printed, such as bytes that are no UTF-8, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def explain(error: Exception) -> str:
    """Says in a few words that can be printed why a file could not be found, read or decoded."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "not enough memory"
    return printable(str(error).strip().partition("\n")[0][:200]) or type(error).__name__
