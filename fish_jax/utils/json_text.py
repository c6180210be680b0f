"""JSON from untrusted files, of bounded size and depth."""

import json
from pathlib import Path
from typing import Any

from fish_jax.utils.files import check_regular

MOST_BYTES = 1 << 24  # of a file; Python takes up to 25 times as many
DEEPEST = 32  # lists and mappings within each other; code that walks them calls itself


def parse(text: str | bytes) -> Any:
    """Parses JSON, and also NaN and infinity, as Python writes them.

    Raises:
      ValueError: it is no JSON, longer than `MOST_BYTES`, or nested deeper than `DEEPEST`.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [item for each in level for item in _items(each)]
        if not level:
            break
    if level:
        raise ValueError("it is nested too deep")
    return value


def _items(value: Any) -> list[Any]:
    """What a list or a mapping holds; nothing of a value without parts."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def read(path: Path) -> Any:
    """Reads a file of JSON.

    Raises:
      OSError: it cannot be read.
      ValueError: as `parse` does; it is no regular file.
    """
    check_regular(path)
    with open(path, "rb") as file:
        return parse(file.read(MOST_BYTES + 1))
