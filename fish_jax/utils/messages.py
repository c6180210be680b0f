"""File names and errors as text that a terminal can print."""


def printable(name: str) -> str:
    """Escapes characters that cannot be printed, such as bytes that are no UTF-8."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def printable_lines(text: str) -> str:
    """Escapes characters that cannot be printed, but for the ends of lines."""
    return "\n".join(map(printable, text.split("\n")))


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def explain(error: Exception) -> str:
    """Gives the reason why a file could not be found, read or decoded, in a few printable words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "not enough memory"
    return printable(str(error).strip().partition("\n")[0][:200]) or type(error).__name__


def plural(number: int, noun: str) -> str:
    """A number with its noun, such as "1 file" or "2,000 files"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def rounded(value: float, digits: int = 4) -> str:
    """A number rounded to some digits, without an exponent where it is large: "310", "297,500"."""
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if "e+" in text else text
