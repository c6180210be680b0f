"""What fish are made of: fins, tails, body plans, colours and backdrops, read from tables.toml.

Fish units are those of `drawing`.
"""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple


class Fin(NamedTuple):
    """A fin that grows from the body's edge between `start` and `end`, in fish units."""

    start: float
    end: float
    height: float
    shape: str  # A key of `FIN_SHAPES`.
    lean: float = 0.4  # How far it sweeps backwards for each unit of height.


class BodyPlan(NamedTuple):
    """The build of a kind of fish, in fish units."""

    name: str
    back: tuple[float, ...]  # Height above the middle at `shapes._STATIONS`, in hundredths.
    belly: tuple[float, ...]  # Depth below the middle, likewise.
    upper_fins: tuple[Fin, ...]
    lower_fins: tuple[Fin, ...]
    pectoral: float  # Length of the fin behind the gill cover.
    tails: tuple[str, ...]  # Keys of `TAILS`.
    tail_size: tuple[float, float]  # Length, half span.
    eye: tuple[float, float, float]  # x, height as a share of the back's, radius.
    patterns: tuple[str, ...]  # Names that `painting` knows.
    sway: float = 0.012  # Amplitude of the swimming body's wave.


class Palette(NamedTuple):
    """The colours of a fish."""

    back: str
    flank: str
    belly: str
    fins: str
    marks: str
    iris: str


class Backdrop(NamedTuple):
    """What lies behind a fish: a vertical gradient and one kind of scenery."""

    top: str
    bottom: str
    scenery: str


def _frozen(value: Any) -> Any:
    """Turns lists into tuples at any depth, so that they are hashable."""
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _body_plan(fields: dict[str, Any]) -> BodyPlan:
    for side in ("upper_fins", "lower_fins"):
        fields = fields | {side: tuple(Fin(*fin) for fin in fields[side])}
    return BodyPlan(**fields)


_TABLES = _frozen(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))
FIN_SHAPES, TAILS = _TABLES["fin_shapes"], _TABLES["tails"]
# The rim of a pectoral fin, in its lengths.
LEAF = ((0.0, -0.1), (0.5, -0.26), (1.0, -0.1), (1.0, 0.06), (0.6, 0.24), (0.0, 0.1))
BODY_PLANS = tuple(map(_body_plan, _TABLES["body_plans"]))
PALETTES = tuple(Palette(*colours) for colours in _TABLES["colours"]["palettes"])
BACKDROPS = tuple(Backdrop(*fields) for fields in _TABLES["colours"]["backdrops"])
