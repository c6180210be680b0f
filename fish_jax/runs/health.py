"""What is wrong with a run, in plain words: from what it logs, and from how it was judged."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan.settings import LossSettings
from fish_jax.losses import LOSSES, Targets
from fish_jax.losses.penalties import PENALTIES

WINDOW = 1000  # steps that a finding looks back on; none is made before twice as many
ABOVE_CHANCE = 1.5  # D's loss over that of a D that tells nothing apart
SATURATED = 0.02  # the same
FOOLED = 0.005  # share of generated images that D takes for real
DIVERSE = 0.4  # deviation of pixels among generated images over that among real ones
ALIKE = 0.3  # similarity of generated pairs: how far from real pairs' to 1
COVERED = 0.1  # share of the floor's coverage
COPIES = 0.05  # share of generated images nearer to a training image than 99 % of held-out ones
COPIED = 0.7  # distance to the nearest training image over that of held-out images


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


def diversity(images: np.ndarray) -> float:
    """The deviation of a pixel among images, root mean square over pixels: 0 if all are the same.

    Args:
      images: uint8 [N, H, W, 3].

    Returns:
      In units of a pixel's 0 .. 255.
    """
    return float(np.sqrt(np.var(images.astype(np.float32), axis=0, ddof=len(images) > 1).mean()))


def chance(loss: LossSettings) -> float:
    """The least loss of a discriminator that says the same of every image, penalties left out.

    Args:
      loss: the `loss` section of a config.

    Returns:
      That loss; nan where it says nothing, as of a Wasserstein critic, whose scale is free, or of
      BEGAN, whose loss is the autoencoder's.
    """
    entry = LOSSES[loss.name]
    if loss.name == "wgan" or entry.takes == "k":
        return float("nan")
    labels = (loss.real_label, loss.fake_label, loss.generator_label)
    options = {"targets": Targets(*(sum(label) / 2 for label in labels)), "margin": loss.margin}
    taken = {entry.takes: options[entry.takes]} if entry.takes else {}
    said = jnp.linspace(0 if entry.energy else -3, 3, 61)
    same = jax.vmap(lambda score: entry.function(score[None], score[None], **taken).discriminator)
    return loss.d_factor * float(jnp.min(same(said)))


def recent(lines: Iterable[Mapping[str, float]]) -> tuple[Mapping[str, float], ...]:
    """The last lines of a log that findings look back on."""
    kept, steps = [], 0
    for line in reversed(tuple(lines)):
        if steps >= WINDOW:
            break
        kept.append(line)
        steps += line["steps"]
    return tuple(reversed(kept))


def diagnose(lines: Sequence[Mapping[str, float]], by_chance: float) -> tuple[Finding, ...]:
    """What a run's log says of its health lately.

    Args:
      lines: of metrics.jsonl, as `recent` gives them.
      by_chance: from `chance`.

    Returns:
      Findings, the gravest first; none in a run's first steps.
    """
    if not lines or lines[-1]["step"] < 2 * WINDOW:
        return ()
    steps = np.array([line["steps"] for line in lines])
    mean = lambda name: float(np.average([line.get(name, 0.0) for line in lines], weights=steps))
    loss = mean("d_loss") - sum(mean(name) for name in PENALTIES)
    images, found = int(lines[-1]["images"]), []
    if loss > ABOVE_CHANCE * by_chance:
        found.append(
            Finding(
                "divergence",
                images,
                f"training does not converge: D's loss is {loss:.3g} on average, where a D that "
                f"tells nothing apart has {by_chance:.3g}; a smaller learning rate often helps",
            )
        )
    if loss < SATURATED * by_chance and mean("fooled") < FOOLED:
        found.append(
            Finding(
                "saturation",
                images,
                f"the discriminator is saturated: it takes {mean('fooled'):.1%} of the generated "
                f"images for real, and its loss is {loss:.2g}, so that little is left to learn "
                "from; slow it down, or give it a gradient penalty",
            )
        )
    shares = [line["diversity"] for line in lines if "diversity" in line]
    if shares and max(shares) < DIVERSE:
        found.append(
            Finding(
                "collapse",
                images,
                "the generator has collapsed: among its samples pixels vary "
                f"{shares[-1]:.0%} as much as among real images",
            )
        )
    return tuple(found)


def not_finite(step: int, batch_size: int) -> Finding:
    """What is to be said of a run that ended there."""
    return Finding("divergence", step * batch_size, f"a number was not finite after step {step}")


def together(of_log: Sequence[Finding], of_scores: Sequence[Finding]) -> tuple[Finding, ...]:
    """What `diagnose` and `judged` found; where both found the same, what the scores say."""
    names = {finding.name for finding in of_scores}
    return (*(finding for finding in of_log if finding.name not in names), *of_scores)


def judged(
    scores: Mapping[str, float], floors: Mapping[str, float], images: int, steps: int
) -> tuple[Finding, ...]:
    """What the scores of generated images say.

    Args:
      scores: by name, as `judge.judge` gives them.
      floors: of the same.
      images: real images that D had seen.
      steps: of the run so far; of a run that has hardly begun nothing is said of collapse.

    Returns:
      Findings.
    """
    found = []
    similarity, floor = scores["similarity"], floors["similarity"]
    alike = similarity > floor + ALIKE * (1 - floor)
    good = scores["precision"] > floors["precision"] / 2  # poor images cover nothing, too
    few = good and scores["coverage"] < COVERED * floors["coverage"]
    if steps >= 2 * WINDOW and (alike or few):
        found.append(
            Finding(
                "collapse",
                images,
                f"little diversity: generated pairs are alike to {similarity:.2g} (real ones "
                f"{floor:.2g}), and {scores['coverage']:.1%} of real images have a generated one "
                f"near by (other real ones: {floors['coverage']:.0%})",
            )
        )
    ratio, copies = scores.get("memorisation", 1.0), scores.get("copies", 0.0)
    if ratio < COPIED or copies > COPIES:
        found.append(
            Finding(
                "memorisation",
                images,
                f"training images are copied: {copies:.0%} of the generated ones are nearer to one "
                "than 99% of held-out images are, and the median distance is "
                f"{ratio:.2g} of theirs",
            )
        )
    return tuple(found)
