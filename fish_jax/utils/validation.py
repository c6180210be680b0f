"""Kinds of values, each a test with the words for its error message, and checks against them."""

import difflib
import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from fish_jax.errors import UserError

MOST = 2**31 - 1  # the largest whole number: counters and indices on the device are int32
MOST_NUMBERS = 2**40  # in one array; more fit into no machine


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
      right: its description, which follows "must be" in messages.
      accepts: whether a value is of it; may raise TypeError, ValueError or OverflowError if not.
      needed: whether a section must have the field.
    """

    right: str
    accepts: Callable[[Any], bool]
    needed: bool = True


# A schema: the kinds of a section's fields, and the schemas of the sections in it, by name.
Kinds = Mapping[str, "Kind | Kinds"]


def whole(least: int, most: int = MOST) -> Kind:
    """A whole number from `least` to `most`."""
    right = f"a whole number from {least} to {most}"
    return Kind(right, lambda value: _is_number(value, int) and least <= value <= most)


def number(right: str, accepts: Callable[[float], bool]) -> Kind:
    """A number of some range, which it must be in after rounding to float32 too."""

    def accepted(value: Any) -> bool:
        if _is_number(value, int) and abs(value) > MOST:  # JAX keeps it whole, and overflows
            return False
        return _is_number(value, (int, float)) and accepts(value) and accepts(_in_float32(value))

    return Kind(right, accepted)


def choice(names: Collection[str]) -> Kind:
    """One of some names."""
    right = f"one of {', '.join(names)}"
    return Kind(right, lambda value: isinstance(value, str) and value in names)


def pair(kind: Kind) -> Kind:
    """Two values of a kind."""
    are_two = lambda value: isinstance(value, (list, tuple)) and len(value) == 2
    accepts = lambda value: are_two(value) and all(map(kind.accepts, value))
    return Kind(f"a pair, each {kind.right}", accepts)


FINITE = number("a finite number", math.isfinite)
POSITIVE = number("a finite number above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = number("a finite number of at least 0", lambda value: 0 <= value < math.inf)
LIMIT = number("a number of at least 0, or inf", lambda value: value >= 0)
SHARE = number("a number in [0, 1)", lambda value: 0 <= value < 1)
BOOLEAN = Kind("True or False", lambda value: isinstance(value, bool))
TEXT = Kind(
    "text that can be part of a file's name",  # os.fsencode refuses lone surrogates
    lambda value: isinstance(value, str) and b"\0" not in os.fsencode(value),
)
FOLDER = Kind(
    "a plain folder name",
    lambda value: (
        isinstance(value, str)
        and value not in ("", ".", "..")
        and value.isprintable()
        and not set(value) & {"/", "\\"}
        and len(os.fsencode(value)) <= 200  # file systems take 255, with what is added
    ),
)
ROWS = Kind("a tuple of rows", lambda value: isinstance(value, (list, tuple)))


def _is_number(value: Any, types: type | tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _in_float32(value: float) -> float:
    """A number as XLA rounds it: to float32, and to 0 below the normal range."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.float32(value)
    return float(rounded) if abs(rounded) >= np.finfo(np.float32).tiny else 0.0


def _rounding(value: Any) -> str:
    """The end of a message about a number that is out of its range only after rounding."""
    if not _is_number(value, float) or math.isnan(value):
        return ""
    rounded = _in_float32(value)
    changed = rounded != value and rounded in (0, 1, math.inf, -math.inf)
    return f", which is {rounded:g} in float32" if changed else ""


def check(name: str, value: Any, kind: Kind) -> None:
    """Checks one value.

    Args:
      name: the name of the value, for the message.
      value: anything.
      kind: the kind that it must be of.

    Raises:
      UserError: it is of another.
    """
    try:
        accepted = kind.accepts(value)
    except (TypeError, ValueError, OverflowError):
        accepted = False
    if not accepted:
        raise UserError(f"{name} must be {kind.right}, not {shown(value)}{_rounding(value)}")


def check_fields(values: Any, kinds: Kinds, section: str = "") -> None:
    """Checks a section, and the sections in it, against a schema.

    Args:
      values: anything; right is a dict or a ConfigDict.
      kinds: the schema.
      section: the name of the section; "" for a whole config.

    Raises:
      UserError: the first field that is unknown, missing or of another kind.
    """
    title = section or "the config"
    if not isinstance(values, (dict, ConfigDict)):
        raise UserError(f"{title} must map names of fields to values, not {shown(values)}")
    for name in values:
        if name not in kinds:
            raise UserError(f"{title} has no field {shown(name)}{hint(name, kinds)}")
    for name, kind in kinds.items():
        single = isinstance(kind, Kind)
        if single and not kind.needed and name not in values:
            continue
        try:
            value = values[name]
        except (KeyError, RequiredValueError):
            raise UserError(f"{title} is missing the field {name}") from None
        place = f"{section}.{name}" if section else name
        if single:
            check(place, value, kind)
        else:
            check_fields(value, kind, place)


def check_memory(name: str, numbers: int) -> None:
    """Refuses an array that fits into no machine, before anything else fails because of its size.

    Args:
      name: the name of the array, for the message.
      numbers: its size.

    Raises:
      UserError: the size is above `MOST_NUMBERS`.
    """
    if numbers > MOST_NUMBERS:
        raise UserError(f"out of memory: {name} would have {numbers:.1e} numbers; make it smaller")


def hint(name: Any, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(name)[:100].lower(), lower, 1, 0.4)
    if near:
        return f"; did you mean {lower[near[0]]}?"
    if len(known) >= 25:
        return "; see fish_jax.configs.default"
    return f"; fields are {', '.join(known)}"


def shown(value: Any) -> str:
    """A value as text for a message: on one line, and not long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not write whole numbers of thousands of digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
