"""Reads the parameters of requests, and refuses what is unknown, doubled or wrong."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from fish_jax.serving.generator import VIEWS

Read = Callable[[str], Any]  # a parameter's text, or ValueError with what it must be


def read(request: Request, allowed: Mapping[str, Read], *needed: str) -> dict[str, Any]:
    """Reads the parameters of a request.

    Args:
      request: whose query is read.
      allowed: how each is read, by name.
      needed: those that must be there.

    Raises:
      HTTPException: 400, in a sentence, for one that is unknown, missing, twice or wrong.
    """
    found = {}
    for name, text in request.query_params.multi_items():
        if name not in allowed:
            names = f"; available: {', '.join(allowed)}" if allowed else ""
            raise HTTPException(400, f"unknown parameter {name[:40]!r}{names}")
        if name in found:
            raise HTTPException(400, f"{name} is given twice")
        try:
            found[name] = allowed[name](text)
        except ValueError as error:
            raise HTTPException(400, f"{name} must be {error}, not {text[:40]!r}") from None
    for name in needed:
        if name not in found:
            raise HTTPException(400, f"{name} is missing")
    return found


def whole(least: int, most: int) -> Read:
    """A whole number from `least` to `most`."""

    def read_whole(text: str) -> int:
        plain = text.isascii() and text.isdigit() and len(text) <= 10
        if not plain or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read_whole


def view(text: str) -> str:
    """One of `VIEWS`."""
    if text not in VIEWS:
        raise ValueError(f"one of {', '.join(VIEWS)}")
    return text


def digest(text: str) -> str:
    """Reads a digest of weights, as `ServedGenerator.digest` has it."""
    if not re.fullmatch("[0-9a-f]{16}", text):
        raise ValueError("16 hexadecimal digits")
    return text


SEED, RUN = whole(0, 2**32 - 1), whole(0, 99)
