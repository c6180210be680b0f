"""What is wrong with a run, in plain words."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Something that a user should know of a run.

    Attributes:
      name: "collapse", "saturation", "divergence" or "memorisation".
      images: real images that D had seen.
      text: a sentence.
    """

    name: str
    images: int
    text: str
