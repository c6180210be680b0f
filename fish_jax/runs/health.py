"""Training health checks in plain words: collapse, saturation, divergence, copies, stagnation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan.model import Gan
from fish_jax.losses import Targets
from fish_jax.losses.penalties import PENALTIES
from fish_jax.utils.messages import rounded

WINDOW = 1000  # steps that a finding looks back on; none is made before twice as many
ABOVE_CHANCE = 1.5  # D's loss over that of a D that tells nothing apart
SATURATED = 0.02  # the same
FOOLED = 0.005  # share of generated images that D takes for real
DIVERSE = 0.4  # deviation of pixels among generated images over that among real ones
ALIKE = 0.3  # similarity of generated pairs: how far from real pairs' to 1
COVERED = 0.2  # share of the floor's coverage
COPIES = 0.05  # share of generated images nearer to a training image than 99 % of held-out ones
COPIED = 0.7  # distance to the nearest training image over that of held-out images
PATIENCE = 5  # evaluations without a better score, at least, before that is reported
STALE = 1 / 3  # share of the images seen in which none was better, likewise


class Finding(NamedTuple):
    """A problem of a run that its user should know.

    Attributes:
      name: "collapse", "saturation", "divergence", "memorisation" or "stagnation".
      images: real images that D had seen.
      text: a sentence.
    """

    name: str
    images: int
    text: str


def diversity(images: np.ndarray) -> float:
    """The standard deviation of a pixel across images, root mean square over pixels.

    Args:
      images: uint8 [N, H, W, C].

    Returns:
      In units of a pixel's 0 .. 255; 0 if all images are the same.
    """
    return float(np.sqrt(np.var(images.astype(np.float32), axis=0, ddof=len(images) > 1).mean()))


def chance(gan: Gan, batch: int) -> float:
    """The minimal loss of a discriminator that gives every image the same score, without penalties.

    Args:
      gan: the fixed parts of a run.
      batch: images in a batch.

    Returns:
      That loss; nan where it is no measure: a Wasserstein critic has a free scale, and the loss of
      BEGAN is that of an autoencoder.
    """
    loss, objective = gan.loss, gan.objective
    labels = (loss.real_label, loss.fake_label, loss.generator_label)
    targets, state = Targets(*(sum(label) / 2 for label in labels)), objective.init()
    many = lambda score: jnp.full(batch, score)
    lost = lambda real, fake: objective.apply(many(real), many(fake), state, targets)[0]
    least = 0.0 if gan.energy else -3.0
    real, fake = jnp.array([least, 3.0] if gan.energy else [3.0, least])
    if state or lost(real, fake).discriminator < 0:
        return float("nan")
    said = jnp.linspace(least, 3, 61)
    return loss.d_factor * float(jnp.min(jax.vmap(lambda s: lost(s, s).discriminator)(said)))


def recent(lines: Iterable[Mapping[str, float]]) -> tuple[Mapping[str, float], ...]:
    """The last lines of a log, as far back as `diagnose` looks."""
    kept, steps = [], 0
    for line in reversed(tuple(lines)):
        if steps >= WINDOW:
            break
        kept.append(line)
        steps += line["steps"]
    return tuple(reversed(kept))


def diagnose(lines: Sequence[Mapping[str, float]], by_chance: float) -> tuple[Finding, ...]:
    """Finds problems in the recent metrics of a run.

    Args:
      lines: the lines of metrics.jsonl, as `recent` gives them.
      by_chance: from `chance`.

    Returns:
      Findings, the most serious first; none in the first steps of a run.
    """
    if not lines or lines[-1]["step"] < 2 * WINDOW:
        return ()
    steps = np.array([line["steps"] for line in lines])
    mean = lambda name: float(np.average([line.get(name, 0.0) for line in lines], weights=steps))
    loss = mean("d_loss") - sum(mean(name) for name in (*PENALTIES, "penalty"))
    images, found = int(lines[-1]["images"]), {}
    if loss > ABOVE_CHANCE * by_chance:
        found["divergence"] = (
            f"training does not converge: the mean loss of D is {loss:.3g}, while a D that cannot "
            f"tell real from generated images has {by_chance:.3g}; a smaller learning rate often "
            "helps"
        )
    if loss < SATURATED * by_chance and mean("fooled") < FOOLED:
        found["saturation"] = (
            f"the discriminator is saturated: it takes {mean('fooled'):.1%} of the generated "
            f"images for real, and its loss is {loss:.2g}, so the generator has little to learn "
            "from; slow the discriminator down, or give it a gradient penalty"
        )
    shares = [line["diversity"] for line in lines if "diversity" in line]
    if shares and max(shares) < DIVERSE:
        found["collapse"] = (
            f"the generator has collapsed: pixels vary only {shares[-1]:.0%} as much among its "
            "samples as among real images"
        )
    return tuple(Finding(name, images, text) for name, text in found.items())


def best_line(lines: Sequence[Mapping[str, float]], name: str, better: str) -> Mapping[str, float]:
    """The line with the best value of a score; of equal ones the last.

    Args:
      lines: the lines of metrics.jsonl, at least one, each with the score.
      name: the name of the score in the lines.
      better: which end of it is, "low" or "high".
    """
    sign = -1 if better == "low" else 1
    return max(reversed(lines), key=lambda line: sign * line[name])


def stagnation(
    lines: Sequence[Mapping[str, float]], name: str, better: str, title: str
) -> tuple[Finding, ...]:
    """Finds out whether a score has not improved for a long time.

    Args:
      lines, name, better: as in `best_line`; there may be none.
      title: the title of the score, for people.
    """
    if not lines:
        return ()
    best, images = best_line(lines, name, better), int(lines[-1]["images"])
    since = [line for line in lines if line["step"] > best["step"]]
    if len(since) < PATIENCE or images - best["images"] < STALE * images:
        return ()
    text = (
        f"the {title} has not improved since epoch {best['epoch']:.0f} ({rounded(best[name])}): "
        f"{len(since)} later evaluations were no better, the last {rounded(lines[-1][name])}. More "
        "training may not help; a smaller learning rate might"
    )
    return (Finding("stagnation", images, text),)


def not_finite(step: int, batch_size: int) -> Finding:
    """The finding of a run that ended with a number that is not finite."""
    return Finding("divergence", step * batch_size, f"a number was not finite after step {step}")


def together(of_log: Sequence[Finding], of_scores: Sequence[Finding]) -> tuple[Finding, ...]:
    """Merges the findings of `diagnose` and `judged`; of the same name, keeps the latter."""
    names = {finding.name for finding in of_scores}
    return (*(finding for finding in of_log if finding.name not in names), *of_scores)


def judged(
    scores: Mapping[str, float], floors: Mapping[str, float], images: int, steps: int
) -> tuple[Finding, ...]:
    """Finds problems in the scores of generated images.

    Args:
      scores: by name, as `evaluation.judge` gives them.
      floors: scores of real images, by the same names.
      images: real images that D had seen.
      steps: the steps of the run so far; early in a run, collapse is not reported.

    Returns:
      Findings.
    """
    found = {}
    similarity, floor = scores["similarity"], floors["similarity"]
    alike = similarity > floor + ALIKE * (1 - floor)
    good = scores["precision"] > floors["precision"] / 2  # poor images cover nothing, too
    few = good and scores["coverage"] < COVERED * floors["coverage"]
    if steps >= 2 * WINDOW and (alike or few):
        found["collapse"] = (
            f"little diversity: the similarity of generated pairs is {similarity:.2g} (real "
            f"pairs: {floor:.2g}), and {scores['coverage']:.1%} of real images have a generated "
            f"image nearby (baseline: {floors['coverage']:.0%})"
        )
    ratio, copies = scores.get("memorisation", 1.0), scores.get("copies", 0.0)
    if ratio < COPIED or copies > COPIES:
        found["memorisation"] = (
            f"training images are copied: {copies:.0%} of the generated images are closer to a "
            "training image than 99% of held-out images are, and the median distance is "
            f"{ratio:.2g} of theirs"
        )
    return tuple(Finding(name, images, text) for name, text in found.items())
