"""The input pipeline: brings the images of each call of several steps to the devices.

A training set that fits the device is copied there once, and a call gets indices into it. A larger
one stays on the host, in memory or mapped from disk: the images of a call's steps are gathered in
order and copied while the device computes the call before. Steps see the same images either way.
Where devices share a batch, each process gathers the parts of its own devices only.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from fish_jax.data.batches import Epochs, batch_indices
from fish_jax.errors import UserError
from fish_jax.training import data_parallel
from fish_jax.utils.config import Config

CHUNK = 64  # most steps in one call
IN_FLIGHT = 2  # chunks on the device: of the call that runs, and of the next
GIGABYTE = 1e9

# From (steps done, steps to do) to images on the devices, uint8 [rows, H, W, C] or, streamed to
# several, [devices, rows, H, W, C], and the indices into them of each step's part on each of this
# process' devices, int32 [steps, devices, n], of which only the steps to do are filled in.
InputPipeline = Callable[[int, int], tuple[jax.Array, np.ndarray]]


class Plan(NamedTuple):
    """How many images the device holds, and for how many steps.

    Attributes:
      steps: most steps in one call.
      rows: images in the array that a device is given.
      streams: whether each call is given images of its own.
    """

    steps: int
    rows: int
    streams: bool


def plan(config: Config, images: np.ndarray, devices: int) -> Plan:
    """Decides whether all images are copied to the device once, or streamed to it in chunks.

    Args:
      config: as `configs/default.py` makes it.
      images: to train on, uint8 [M, H, W, C].
      devices: how many share each batch.

    Returns:
      The plan.

    Raises:
      UserError: data.device_gigabytes is negative, or too small.
    """
    limit = device_limit(config["data"]["device_gigabytes"])
    # No call goes beyond a line of the log.
    longest = min(CHUNK, config["log_every_steps"])
    share = config["batch_size"] // devices
    return plan_chunks(len(images), images[:1].nbytes, share, longest, limit)


def device_limit(gigabytes: float) -> float:
    """The most bytes of images that the device may hold.

    Args:
      gigabytes: `data.device_gigabytes` of a config; 0 for half of what the device has free.

    Returns:
      Bytes; infinity on a device that does not report its memory, such as a CPU.

    Raises:
      UserError: a negative number.
    """
    if not gigabytes >= 0:
        raise UserError(f"data.device_gigabytes must be at least 0, not {gigabytes}")
    if gigabytes:
        return gigabytes * GIGABYTE
    memory = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in memory:
        return math.inf
    return (memory["bytes_limit"] - memory["bytes_in_use"]) / 2


def plan_chunks(size: int, image_bytes: int, batch_size: int, longest: int, limit: float) -> Plan:
    """Plans for all images on the device if they fit, else for the largest chunks that do.

    Args:
      size: number of images.
      image_bytes: the image bytes of one image.
      batch_size: images per step, of one device.
      longest: most steps in a call.
      limit: bytes of images that the device may hold.

    Returns:
      The plan.

    Raises:
      UserError: the limit is too small for two batches.
    """
    if size * image_bytes <= limit:
        return Plan(longest, size, streams=False)
    step_bytes = IN_FLIGHT * batch_size * image_bytes
    steps = min(longest, int(limit // step_bytes))
    if steps < 1:
        least = math.ceil(min(step_bytes, size * image_bytes) / 1000) * 1000 / GIGABYTE
        raise UserError(
            f"data.device_gigabytes must be at least {least:.6f}, not {limit / GIGABYTE:.6f}: the "
            f"device holds {IN_FLIGHT} batches of {batch_size} images at a time; raise it or "
            "lower batch_size"
        )
    return Plan(steps, steps * batch_size, streams=True)


def note(chosen: Plan, size: int) -> str:
    """A sentence on a plan that streams: how many images the device holds at a time."""
    steps = "1 step" if chosen.steps == 1 else f"{chosen.steps} steps"
    return (
        f"the {size:,} images exceed data.device_gigabytes, so they are streamed: at most "
        f"{chosen.rows:,} at a time, for {steps} of {chosen.rows // chosen.steps}"
    )


def make_pipeline(
    config: Config, images: np.ndarray, chosen: Plan, devices: Sequence[data_parallel.Device]
) -> InputPipeline:
    """Makes the function that gives each call its images and its indices into them.

    Args:
      config: as `configs/default.py` makes it.
      images: to train on, uint8 [M, H, W, C]. They may be mapped from disk: streaming reads only
        those of the steps to do.
      chosen: from `plan`.
      devices: that share each batch, from `data_parallel.choose_devices`.

    Returns:
      A function that returns while the images are still on their way to the devices.
    """
    epochs = Epochs(len(images), config["batch_size"])

    def parts(step: int, count: int) -> np.ndarray:
        whole = batch_indices(config["seed"], epochs, step, count)
        return data_parallel.shares(whole, devices)

    shape = (chosen.steps, *parts(0, 1).shape[1:])

    def stream(step: int, count: int) -> tuple[jax.Array, np.ndarray]:
        # The images of a device are in the order of its steps.
        chosen_images = parts(step, count).swapaxes(0, 1).reshape(shape[1], -1)
        chunk = gather(images, chosen_images, chosen.rows)
        places = np.arange(chosen.rows, dtype=np.int32).reshape(shape[0], 1, -1)
        return data_parallel.place_shares(chunk, devices), np.broadcast_to(places, shape)

    if chosen.streams:
        return stream
    resident = data_parallel.replicate(images, devices)

    def give(step: int, count: int) -> tuple[jax.Array, np.ndarray]:
        batches = np.zeros(shape, np.int32)
        batches[:count] = parts(step, count)
        return resident, batches

    return give


def gather(images: np.ndarray, indices: np.ndarray, rows: int) -> np.ndarray:
    """Copies the chosen images of each device into one array; the rest of it is not initialised.

    Args:
      images: uint8 [M, H, W, C].
      indices: into them, int32 [devices, K], K at most `rows`.
      rows: images in the array of a device, the same for every call, as programs are compiled for
        one shape.

    Returns:
      uint8 [devices, rows, H, W, C].
    """
    # New for each call: on a CPU the device's array is this one, and the call before still reads.
    chunk = np.empty((len(indices), rows, *images.shape[1:]), images.dtype)
    for part, chosen in zip(chunk, indices):
        # Indices are in range; with any mode but the default, numpy writes to `out` without a copy.
        np.take(images, chosen, axis=0, out=part[: len(chosen)], mode="clip")
    return chunk
