"""The choice of image files by `data.include`: patterns of their names."""

import fnmatch
import re
from collections.abc import Sequence

from fish_jax.data.image_files import Entry
from fish_jax.utils.messages import printable
from fish_jax.utils.paths import composed


def choose_entries(entries: Sequence[Entry], include: str) -> tuple[list[Entry], list[str]]:
    """Picks files by name.

    Args:
      entries: the files to choose from.
      include: patterns of `fnmatch`, with commas between them; one of them must match the file
        name, or the whole relative name. A whole name matches, whatever signs it has. "" picks
        every file.

    Returns:
      The files, and what may be amiss: patterns that match none, and why; files that differ from
      them only in upper and lower case.
    """
    names = [composed(entry.name) for entry in entries]
    patterns = _patterns(include, names)
    if not patterns:
        return list(entries), []
    hits = [[_matches(name, pattern) for name in names] for pattern in patterns]
    picked = [any(of_name) for of_name in zip(*hits, strict=True)]
    notes = [
        f"{printable(pattern)} matches none{_reason(pattern, names)}"
        for pattern, of_pattern in zip(patterns, hits, strict=True)
        if not any(of_pattern)
    ]
    others = [name for name, is_picked in zip(names, picked, strict=True) if not is_picked]
    alike = [name for name in others if any(_matches_any_case(name, each) for each in patterns)]
    if any(picked) and alike:
        more = f" and {len(alike) - 1:,} more" if len(alike) > 1 else ""
        notes.append(f"left out, as upper and lower case differ: {printable(alike[0])}{more}")
    return [each for each, is_picked in zip(entries, picked, strict=True) if is_picked], notes


def _patterns(include: str, names: Sequence[str]) -> list[str]:
    """The patterns in a text; one that is the name of a file may have commas."""
    whole = composed(include.strip())
    if whole and any(whole in _forms(name) for name in names):
        return [whole]
    apart = re.split(r",(?![^{]*\})", whole)  # not within braces, which `_reason` explains
    patterns = (each.strip().removeprefix("./") for each in apart)
    return [pattern for pattern in patterns if pattern]


def _forms(name: str) -> tuple[str, str]:
    return name, name.rpartition("/")[2]


def _matches(name: str, pattern: str) -> bool:
    return any(form == pattern or fnmatch.fnmatchcase(form, pattern) for form in _forms(name))


def _matches_any_case(name: str, pattern: str) -> bool:
    return _matches(name.lower(), pattern.lower())


def _reason(pattern: str, names: Sequence[str]) -> str:
    """Why a pattern matches none of some names, and what to write; "" where it is not known."""
    near = next((name for name in names if _matches_any_case(name, pattern)), None)
    folder = pattern.strip("/")
    if near is not None:
        return f": it differs from {printable(near)} in upper and lower case"
    if "{" in pattern or "}" in pattern:
        return ": braces are not supported; write *.jpg,*.png for *.{jpg,png}"
    if pattern.startswith("!"):
        return ": patterns select files and cannot exclude any"
    if "\\" in pattern:
        return ": separate folders with /"
    if any(name.startswith(f"{folder}/") for name in names):
        return f": it is a folder; write {printable(folder)}/*"
    if any(f"/{folder}/" in name for name in names):
        return f": it is a folder; write */{printable(folder)}/*"
    return ""
