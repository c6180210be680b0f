"""A synthetic data set: side-view portraits of fish, outlined by Pillow and shaded by numpy.

Every picture is a pure function of a seed and an index. A fish begins as a choice of traits
(`choose_fish`), which give its outlines in fish units; a pose fits these into the frame; then the
backdrop, the fins, the body and the face are painted over one another (`draw_fish`).

Fish units: x runs from the snout (0) to the root of the tail fin (1), y points down, and both are
measured in body lengths. Frame units: x and y run from 0 to 1 across the picture, so a frame of
another aspect ratio shows the same picture stretched.

A canvas is float32 [3, height, width] in [0, 1]. A strip is the area between two rails, float
[2, N, 2]: the back and the belly of a body, or the roots and the tips of a fin's rays.
"""

import numpy as np

from fish_jax.data.synthetic import painting, shapes
from fish_jax.data.synthetic.species import choose_fish, fish_generator
from fish_jax.utils.progress import Advance, ignore_advance

VERSION = 1  # One more whenever the same seed gives other pixels: caches then draw anew.


def draw_fish(seed: int, index: int, height: int, width: int) -> np.ndarray:
    """Draws one fish.

    Args:
      seed: the data set, >= 0.
      index: the picture in the data set, >= 0.
      height: pixels, >= 16.
      width: pixels, >= 16.

    Returns:
      uint8 [height, width, 3]; the same fish at every size.
    """
    fish, generator = choose_fish(seed, index), fish_generator(seed, index, 1)
    smallest = min(height / 140, width / 320)
    detail = 1 if smallest > 0.7 else 2 if smallest > 0.19 else 4
    canvas = painting.paint_backdrop(fish.backdrop, generator, detail * height, detail * width)
    strips = [shapes.body_strip(fish), shapes.tail_fin(fish)]
    strips += [shapes.edge_fin(fish, fin, 0) for fin in fish.plan.upper_fins]
    strips += [shapes.edge_fin(fish, fin, 1) for fin in fish.plan.lower_fins]
    pose = shapes.fit_pose(fish, strips)
    strips.append(shapes.pectoral_fin(fish, generator.uniform(0.15, 0.9)))
    body, *fins, pectoral = (shapes.to_frame(strip, fish, pose) for strip in strips)
    painting.paint_fins(canvas, fish, fins, 0.9)
    painting.paint_body(canvas, fish, pose, body, generator)
    painting.paint_face(canvas, fish, pose)
    painting.paint_fins(canvas, fish, [pectoral], 0.8)
    painting.paint_eye(canvas, fish, pose)
    return np.array(painting.to_image(canvas).reduce(detail))


def draw_school(
    count: int, height: int, width: int, seed: int = 0, on_progress: Advance = ignore_advance
) -> np.ndarray:
    """Draws the first `count` fish of a data set.

    Args:
      count: how many, >= 0.
      height: pixels, >= 16.
      width: pixels, >= 16.
      seed: the data set, >= 0.
      on_progress: called with 1 after each fish.

    Returns:
      uint8 [count, height, width, 3].
    """
    school = np.empty((count, height, width, 3), np.uint8)
    for index in range(count):
        school[index] = draw_fish(seed, index, height, width)
        on_progress(1)
    return school
