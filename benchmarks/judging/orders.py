"""Which of two damages a person finds worse without hesitation, written before any score was seen.

The damages of photographs, drawn fish and letters were looked at side by side at 28 x 64, 70 x 160
and 140 x 320. Each has a rank:

    0   as it was
    1   hardly seen, or harmless
    2   whole, and plainly worse
    3   broken: still a fish or a word, but not a good one
    4   nothing is left of it

Two damages are ordered where their ranks are two or more apart, where one is of rank 0, along
`CHAINS`, and as `SOFT` says. A damage without a rank is ordered by chains alone.
"""

import itertools

RANKS = {
    "none": 0,
    "blur 1/70": 1,
    "warmer 1.1": 1,
    "blur 1/35": 2,
    "blur 1/23": 2,
    "noise 25": 2,
    "blend 15 %": 2,
    "warp 1/40": 2,
    "warmer 1.5": 2,
    "erased 1/4": 2,
    "mirrored half": 2,
    "blur 1/10": 3,
    "noise 60": 3,
    "halves": 3,
    "blend 50 %": 3,
    "warp 1/14": 3,
    "erased 1/2": 3,
    "blocks 1/2": 4,
    "blocks 1/4": 4,
    "blocks 1/7": 4,
    "random phases": 4,
    "warp 1/5": 4,
    "erased 3/4": 4,
    "early": 4,
}
# Damages that are counted in pixels look worse in smaller images; by the height.
RANKS_AT = {
    28: {"noise 10": 2, "jpeg 30": 2, "jpeg 10": 3, "jpeg 3": 4, "down 2": 2, "down 4": 3},
    70: {"noise 10": 1, "jpeg 30": 1, "jpeg 10": 2, "jpeg 3": 3, "down 2": 1, "down 4": 2}
    | {"down 8": 3},
    140: {"noise 10": 1, "jpeg 30": 1, "jpeg 10": 2, "jpeg 3": 3, "down 2": 1, "down 4": 2}
    | {"down 8": 2, "late": 4},
}
# At 28 x 64 neither can be distinguished from the original.
UNSEEN = {28: ("blur 1/70", "warp 1/40")}
CHAINS = (
    ("none", "blur 1/70", "blur 1/35", "blur 1/23", "blur 1/10"),
    ("none", "noise 10", "noise 25", "noise 60"),
    ("none", "jpeg 30", "jpeg 10", "jpeg 3"),
    ("none", "down 2", "down 4", "down 8"),
    ("none", "blend 15 %", "blend 50 %"),
    ("none", "warp 1/40", "warp 1/14", "warp 1/5"),
    ("none", "warmer 1.1", "warmer 1.5"),
    ("none", "swapped colours"),
    ("none", "erased 1/4", "erased 1/2", "erased 3/4"),
    ("none", "mirrored half"),
    ("none", "halves", "blocks 1/4", "blocks 1/7"),
    ("none", "blocks 1/2", "blocks 1/7"),
    ("none", "darkest half", "darkest eighth"),
    ("none", "copies 5", "copies 40"),
    ("none", "late", "middle", "early"),
)
# A soft fish is a fish, and two fish in one picture are not.
SOFT = {
    28: ("blur 1/70", "blur 1/35", "down 2"),
    70: ("blur 1/70", "blur 1/35", "down 2", "down 4"),
    140: ("blur 1/70", "blur 1/35", "down 2", "down 4"),
}
TORN = ("halves", "blend 50 %", "blocks 1/2", "blocks 1/4", "blocks 1/7", "random phases")
# What precision should say of soft and of torn images.
SOFT_PRECISION = 0.6  # at least
TORN_PRECISION = 0.15  # at most


def pairs(height: int) -> list[tuple[str, str]]:
    """The ordered pairs of damages at a height of 28, 70 or 140 pixels: the better, the worse."""
    ranks = RANKS | RANKS_AT[height]
    found = {pair for chain in CHAINS for pair in itertools.combinations(chain, 2)}
    found |= {
        (better, worse)
        for better, worse in itertools.permutations(ranks, 2)
        if ranks[worse] - ranks[better] >= 2 or ranks[better] == 0 < ranks[worse]
    }
    found |= set(itertools.product(SOFT[height], TORN))
    return sorted(found - {("none", damage) for damage in UNSEEN.get(height, ())})
