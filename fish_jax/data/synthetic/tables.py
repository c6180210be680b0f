"""Tables of what fish are made of: fins, tails, body plans, colours and backdrops.

Fish units are those of `drawing`.
"""

from typing import NamedTuple


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


# Heights from the front of a fin to its rear, at `shapes._FIN_STEPS`, in heights of the fin.
FIN_SHAPES = {
    "triangle": (0.0, 0.62, 1.0, 0.45, 0.1),
    "ribbon": (0.0, 0.85, 1.0, 0.95, 0.2),
    "spiny": (0.0, 1.0, 0.95, 0.75, 0.4),
    "sail": (0.0, 0.9, 1.0, 0.8, 0.45),
    "rear": (0.0, 0.35, 0.65, 1.0, 0.5),
    "sickle": (0.0, 1.0, 0.5, 0.22, 0.08),
}

# Rims of tails from the upper root to the lower root: x in tail lengths, y in half spans.
TAILS = {
    "forked": (
        (0.35, -0.5),
        (1.0, -1.05),
        (0.98, -0.9),
        (0.5, 0.0),
        (0.98, 0.9),
        (1.0, 1.05),
        (0.35, 0.5),
    ),
    "lunate": (
        (0.3, -0.5),
        (0.95, -1.2),
        (1.0, -1.1),
        (0.45, -0.35),
        (0.3, 0.0),
        (0.45, 0.35),
        (1.0, 1.1),
        (0.95, 1.2),
        (0.3, 0.5),
    ),
    "rounded": (
        (0.3, -0.75),
        (0.75, -0.95),
        (1.0, -0.5),
        (1.05, 0.0),
        (1.0, 0.5),
        (0.75, 0.95),
        (0.3, 0.75),
    ),
    "fan": (
        (0.35, -0.6),
        (0.95, -1.1),
        (1.0, -0.8),
        (0.95, 0.0),
        (1.0, 0.8),
        (0.95, 1.1),
        (0.35, 0.6),
    ),
    "shark": (
        (0.4, -0.6),
        (1.05, -1.4),
        (1.0, -1.15),
        (0.5, -0.15),
        (0.72, 0.75),
        (0.6, 0.8),
        (0.2, 0.35),
    ),
    "sword": (
        (0.2, -0.7),
        (0.5, -1.05),
        (0.68, -0.7),
        (0.7, 0.0),
        (0.66, 0.5),
        (0.8, 0.66),
        (1.6, 0.92),
        (1.6, 1.1),
        (0.5, 1.1),
        (0.2, 0.75),
    ),
    "veil": (
        (0.3, -0.8),
        (0.8, -1.3),
        (1.1, -1.0),
        (0.85, -0.2),
        (1.15, 0.5),
        (1.05, 1.3),
        (0.75, 1.4),
        (0.3, 0.8),
    ),
}

# The rim of a pectoral fin, in its lengths.
LEAF = ((0.0, -0.1), (0.5, -0.26), (1.0, -0.1), (1.0, 0.06), (0.6, 0.24), (0.0, 0.1))

BODY_PLANS = (
    BodyPlan(
        "tuna",
        (0, 5, 9.5, 13.5, 15, 11, 5, 1.8),
        (0, 5, 9.5, 13.5, 15, 11, 5, 1.8),
        (Fin(0.30, 0.52, 0.11, "sickle", 0.7), Fin(0.56, 0.68, 0.15, "sickle", 1.0)),
        (Fin(0.30, 0.38, 0.08, "triangle", 0.8), Fin(0.58, 0.70, 0.15, "sickle", 1.0)),
        0.24,
        ("lunate",),
        (0.22, 0.24),
        (0.10, 0.25, 0.025),
        ("plain", "lines", "flecks"),
    ),
    BodyPlan(
        "discus",
        (0, 14, 24, 32, 35, 31, 17, 6),
        (0, 12, 23, 32, 36, 31, 17, 6),
        (Fin(0.30, 0.96, 0.12, "rear", 0.6),),
        (Fin(0.38, 0.96, 0.12, "rear", 0.6), Fin(0.28, 0.36, 0.16, "triangle", 0.6)),
        0.17,
        ("fan", "rounded"),
        (0.22, 0.18),
        (0.15, 0.2, 0.037),
        ("bars", "maze", "lines", "eyeband"),
    ),
    BodyPlan(
        "angelfish",
        (0, 10, 18, 25, 29, 24, 12, 6),
        (0, 9, 17, 25, 29, 24, 12, 6),
        (Fin(0.40, 0.90, 0.20, "triangle", 1.1),),
        (Fin(0.42, 0.90, 0.20, "triangle", 1.1), Fin(0.30, 0.36, 0.18, "sickle", 0.6)),
        0.16,
        ("fan",),
        (0.26, 0.19),
        (0.14, 0.2, 0.037),
        ("bars", "eyeband", "plain"),
    ),
    BodyPlan(
        "eel",
        (0, 4.2, 6, 6.6, 6.2, 5.4, 4.2, 2.8),
        (0, 3.6, 5.4, 6.4, 6.2, 5.4, 4.2, 2.8),
        (Fin(0.26, 0.95, 0.06, "ribbon"),),
        (Fin(0.48, 0.95, 0.05, "ribbon"),),
        0.12,
        ("rounded", "fan"),
        (0.15, 0.085),
        (0.07, 0.35, 0.024),
        ("spots", "bars", "blotches"),
        0.04,
    ),
    BodyPlan(
        "shark",
        (0, 4, 7, 10, 11, 8, 4.2, 2.4),
        (0, 3, 5.5, 8.5, 9.5, 6.5, 3.4, 2.2),
        (Fin(0.36, 0.54, 0.16, "triangle", 0.75), Fin(0.80, 0.88, 0.045, "triangle", 0.8)),
        (Fin(0.60, 0.68, 0.06, "triangle", 0.8), Fin(0.80, 0.87, 0.04, "triangle", 0.8)),
        0.23,
        ("shark",),
        (0.24, 0.17),
        (0.10, 0.3, 0.017),
        ("plain", "bars", "spots"),
        0.02,
    ),
    BodyPlan(
        "flounder",
        (0, 8, 15.5, 22, 25, 20, 10, 4.5),
        (0, 8, 15.5, 22, 25, 20, 10, 4.5),
        (Fin(0.10, 0.95, 0.10, "ribbon"),),
        (Fin(0.22, 0.95, 0.10, "ribbon"),),
        0.14,
        ("rounded", "fan"),
        (0.20, 0.13),
        (0.10, 0.4, 0.027),
        ("spots", "blotches", "flecks"),
    ),
    BodyPlan(
        "puffer",
        (0, 13, 21, 27, 27, 19, 9, 5),
        (0, 13, 23, 32, 33, 23, 9, 5),
        (Fin(0.72, 0.86, 0.13, "sail", 0.6),),
        (Fin(0.74, 0.86, 0.11, "sail", 0.6),),
        0.16,
        ("rounded", "fan"),
        (0.20, 0.13),
        (0.17, 0.5, 0.045),
        ("spots", "maze", "blotches"),
    ),
    BodyPlan(
        "carp",
        (0, 7, 12, 17.5, 19.5, 15, 9, 6),
        (0, 7, 12, 16.5, 18.5, 14, 8, 6),
        (Fin(0.38, 0.74, 0.12, "spiny", 0.5),),
        (Fin(0.44, 0.54, 0.11, "triangle", 0.7), Fin(0.72, 0.84, 0.11, "triangle", 0.7)),
        0.17,
        ("forked", "fan"),
        (0.26, 0.21),
        (0.11, 0.3, 0.025),
        ("blotches", "plain", "scales"),
    ),
    BodyPlan(
        "trout",
        (0, 6, 9.3, 12.5, 13.5, 11, 6.5, 4.6),
        (0, 5.5, 9, 12.3, 13.5, 10.5, 6, 4.6),
        (Fin(0.42, 0.56, 0.11, "triangle", 0.5), Fin(0.80, 0.85, 0.05, "sail", 1.2)),
        (Fin(0.52, 0.61, 0.09, "triangle", 0.6), Fin(0.74, 0.85, 0.09, "triangle", 0.6)),
        0.14,
        ("forked", "fan"),
        (0.20, 0.17),
        (0.09, 0.35, 0.023),
        ("spots", "flecks", "band"),
    ),
    BodyPlan(
        "bass",
        (0, 6.5, 11.5, 16.3, 18, 14.5, 8, 5),
        (0, 6.5, 11, 15, 16.5, 13, 7, 5),
        (Fin(0.30, 0.58, 0.13, "spiny", 0.3), Fin(0.60, 0.80, 0.12, "sail", 0.5)),
        (Fin(0.36, 0.44, 0.12, "triangle", 0.7), Fin(0.64, 0.80, 0.11, "sail", 0.6)),
        0.17,
        ("fan", "forked"),
        (0.23, 0.19),
        (0.11, 0.35, 0.030),
        ("lines", "bars", "spots", "band"),
    ),
    BodyPlan(
        "swordtail",
        (0, 5, 8.5, 12.5, 14, 11, 8, 7),
        (0, 5, 9.5, 14, 15, 10.5, 7.5, 7),
        (Fin(0.42, 0.68, 0.17, "sail", 0.5),),
        (Fin(0.58, 0.70, 0.12, "triangle", 0.7), Fin(0.42, 0.48, 0.10, "triangle", 0.8)),
        0.15,
        ("sword",),
        (0.27, 0.16),
        (0.09, 0.3, 0.030),
        ("band", "plain", "halves"),
    ),
    BodyPlan(
        "triggerfish",
        (0, 7, 14, 23, 28, 22, 9, 5),
        (0, 7, 13.5, 22, 27, 21, 9, 5),
        (Fin(0.36, 0.50, 0.10, "sickle", 0.8), Fin(0.58, 0.90, 0.15, "triangle", 0.5)),
        (Fin(0.60, 0.90, 0.15, "triangle", 0.5),),
        0.12,
        ("fan", "lunate"),
        (0.22, 0.18),
        (0.22, 0.55, 0.028),
        ("slashes", "blotches", "halves"),
    ),
    BodyPlan(
        "goldfish",
        (0, 11, 17, 21.5, 23, 18, 10, 7),
        (0, 11, 18, 24, 26, 20, 10, 7),
        (Fin(0.34, 0.72, 0.20, "sail", 0.7),),
        (Fin(0.40, 0.52, 0.18, "triangle", 0.8), Fin(0.74, 0.88, 0.18, "triangle", 0.8)),
        0.18,
        ("veil", "fan"),
        (0.38, 0.28),
        (0.13, 0.3, 0.036),
        ("plain", "scales", "blotches"),
    ),
    BodyPlan(
        "snapper",
        (0, 9, 16, 21, 21.5, 15, 8, 4.6),
        (0, 6.5, 10.5, 14.5, 16, 13, 7, 4.6),
        (Fin(0.28, 0.84, 0.12, "spiny", 0.3),),
        (Fin(0.36, 0.44, 0.13, "triangle", 0.7), Fin(0.66, 0.80, 0.11, "triangle", 0.6)),
        0.22,
        ("forked",),
        (0.25, 0.20),
        (0.14, 0.45, 0.032),
        ("plain", "lines", "slashes", "halves"),
    ),
)

PALETTES = (
    Palette("#1f3a63", "#6f95b8", "#f1f5f7", "#33507a", "#142944", "#e8d27a"),
    Palette("#4a5560", "#9aa5ad", "#f4f2ec", "#59636c", "#272d33", "#d9c46c"),
    Palette("#c9480f", "#f5801f", "#fcd9a0", "#f0701a", "#fff4e2", "#f7e7a5"),
    Palette("#b0141c", "#e23a35", "#f9b7a1", "#c8242a", "#fff1e8", "#f3d36b"),
    Palette("#c79a08", "#f7cf2e", "#fff4b8", "#f0b81c", "#2b2a33", "#f4f0dc"),
    Palette("#0f3f94", "#2873d6", "#8cc6f2", "#f2c52d", "#0b1f52", "#f5e08c"),
    Palette("#2c4a2b", "#6f8f4c", "#e8e3b5", "#5b7440", "#1d2e1b", "#e6b14a"),
    Palette("#4b3622", "#8f6f47", "#e9d9b4", "#6d5333", "#2c1e12", "#e2b864"),
    Palette("#16706f", "#2fb6a5", "#d3f2df", "#1b8d96", "#f46b45", "#f7ea9c"),
    Palette("#5a2a78", "#a04fb5", "#f4cfe4", "#f0a13a", "#2f1247", "#f3dc79"),
    Palette("#d9d4c8", "#f5f1e8", "#ffffff", "#efe3d3", "#e0431f", "#e5c869"),
    Palette("#22252b", "#4a4e58", "#a7a9ad", "#2b2e36", "#e7c24c", "#efe3a4"),
    Palette("#7d3b2b", "#d8796a", "#fbe3d8", "#cf5f56", "#8a2d2a", "#f1dc8b"),
    Palette("#566b2f", "#b6b04a", "#f6efc6", "#c98a2e", "#34421d", "#e9913b"),
    Palette("#324a5e", "#c5d2d8", "#ffffff", "#7e93a0", "#20303e", "#f0d878"),
)

BACKDROPS = (
    Backdrop("#ffffff", "#e9ebec", "plain"),
    Backdrop("#f7f5f0", "#dcd9d2", "plain"),
    Backdrop("#c9ced3", "#a3a9b0", "plain"),
    Backdrop("#2b2d31", "#0c0d0f", "plain"),
    Backdrop("#bfe6f5", "#5fb4dc", "plain"),
    Backdrop("#74c7ec", "#0f5f9e", "rays"),
    Backdrop("#3c9bd6", "#0a3566", "rays"),
    Backdrop("#1c5f93", "#061c38", "bubbles"),
    Backdrop("#8fd6d0", "#2a8b91", "bubbles"),
    Backdrop("#a9c58f", "#3d6640", "plants"),
    Backdrop("#3e6a4a", "#122a1f", "plants"),
    Backdrop("#9fd8e8", "#d9c797", "sand"),
    Backdrop("#5fb3d3", "#b59d6b", "sand"),
)
