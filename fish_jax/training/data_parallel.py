"""Data-parallel training on one device, several devices, or several hosts.

On one device the steps are compiled by `jax.jit`. On several they are compiled by `jax.pmap`: each
device computes its part of every batch and holds the whole state. One or more processes on each
host run the same program, and outside of it each sees only the arrays of its own devices. What one
process learns by itself (a signal, the time) reaches the others with the steps: each call takes the
requests of every process and returns their maximum.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fish_jax.errors import UserError
from fish_jax.gan import compilation
from fish_jax.gan.model import Gan, share_batches
from fish_jax.gan.state import TrainState
from fish_jax.gan.step import train_steps

AXIS = "devices"
Device: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]  # jaxlib has no stubs


class Requests(NamedTuple):
    """Requests of a process to the training loop; all processes act on the maximum of each.

    Attributes:
      stop: number of the signal that was received, or 0.
      save: 1 if a checkpoint is due, or 0.
      length: number of steps in the next call.
    """

    stop: int = 0
    save: int = 0
    length: int = 1


History = dict[str, jax.Array]  # metrics of each step of a call, [K]
# From a state, images, indices, a number of steps and the requests of this process to the state,
# metrics and the maximum of all processes' requests; None in its place for a single process.
Advance = Callable[
    [TrainState, jax.Array, np.ndarray, np.integer, Requests],
    tuple[TrainState, History, jax.Array | None],
]


def choose_devices(limit: int, batch_size: int) -> tuple[Device, ...]:
    """Chooses the devices that share each batch, equally many of each process.

    Args:
      limit: most devices; 0 for all.
      batch_size: images per step.

    Returns:
      The devices of all processes, in the order of their parts of a batch.

    Raises:
      UserError: they cannot be equally many of each process, or do not divide the batch.
    """
    processes, here = jax.process_count(), len(jax.local_devices())
    count = min(limit, here * processes) or here * processes
    if count % processes:
        raise UserError(
            f"devices must be a multiple of the {processes} processes, or 0 for all, not {limit}"
        )
    if batch_size % count:
        below = batch_size // count * count
        nearest = f"{below} or {below + count}" if below else str(count)
        raise UserError(
            f"a batch of {batch_size} cannot be divided among {count} devices; set batch_size to "
            f"{nearest}, or devices to fewer"
        )
    return tuple(
        device
        for process in range(processes)
        for device in jax.local_devices(process)[: count // processes]
    )


def _own(devices: Sequence[Device]) -> list[Device]:
    return [device for device in devices if device.process_index == jax.process_index()]


def sharding(devices: Sequence[Device], *axes: str) -> jax.sharding.Sharding:
    """The sharding that puts a copy of an array on each device or, with `AXIS`, a part of it."""
    if len(devices) == 1:
        return jax.sharding.SingleDeviceSharding(devices[0])
    return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(*axes))


def replicate(tree: Any, devices: Sequence[Device]) -> Any:
    """Copies arrays to each device of this process."""
    return jax.device_put(tree, sharding(_own(devices)))


def first_copy(tree: Any) -> Any:
    """The arrays of `replicate` as they lie on the first device of this process, not copied."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)


def shares(batches: np.ndarray, devices: Sequence[Device]) -> np.ndarray:
    """The parts of batches that the devices of this process take: [K, N] to [K, own devices, n]."""
    own = [device.process_index == jax.process_index() for device in devices]
    return batches.reshape(len(batches), len(devices), -1)[:, own]


def place_shares(images: np.ndarray, devices: Sequence[Device]) -> jax.Array:
    """Copies to each device of this process its images: [own devices, n, H, W, C]."""
    if len(devices) == 1:
        return jax.device_put(images[0], devices[0])
    return jax.device_put(images, sharding(_own(devices), AXIS))


def compile_steps(
    gan: Gan,
    state: TrainState,
    images: jax.Array,
    batches: np.ndarray,
    streams: bool,
    devices: Sequence[Device],
) -> tuple[Advance, dict[str, int]]:
    """Compiles `train_steps` for the devices.

    Args:
      gan: the fixed parts of the run.
      state: from `replicate`.
      images: the images of a call.
      batches: indices into them, int32 [K, own devices, n].
      streams: whether each device gets images of its own.
      devices: from `choose_devices`.

    Returns:
      A function that runs a call and reuses the memory of the state it is given, and the bytes
      that devices exchange in a step, from `exchanged_bytes`.
    """
    if len(devices) == 1:
        length, _, share = batches.shape
        program = compilation.compile_steps(gan, state, length, share, len(images))
        alone = lambda state, images, batches, count, _: (
            *program(state, images, batches[:, 0], count),
            None,
        )
        return alone, {}
    # The key goes apart, as numbers: `jax.pmap` waits for a typed key of the call before.
    key, implementation = first_copy(state.key), jax.random.key_impl(state.key)
    key = np.asarray(jax.random.key_data(key))
    gan, several = share_batches(gan, AXIS), jax.process_count() > 1
    # The requests of this process for each of its devices, int32 [own devices, 3].
    repeat = lambda requests: np.tile(np.array(requests, np.int32), (batches.shape[1], 1))

    def steps(state: TrainState, key: Any, *call: Any) -> tuple[TrainState, History, jax.Array]:
        images, batches, count, requests = call
        state = state.replace(key=jax.random.wrap_key_data(key, impl=implementation))
        state, history = train_steps(state, images, batches, count, gan)
        return state.replace(key=None), history, jax.lax.pmax(requests, AXIS)

    mapped = jax.pmap(
        steps,
        AXIS,
        in_axes=(None, None, 0 if streams else None, 1, None, 0),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )
    first = images, batches, np.int32(1), repeat(Requests())
    lowered = mapped.lower(state.replace(key=None), key, *first)
    # With several processes calls find this program again: it takes no process' own arrays itself.
    compiled = compilation.compile_apart(lowered, {} if several else compilation.options())
    program = mapped if several else compiled

    def advance(state: TrainState, *call: Any) -> tuple[TrainState, History, jax.Array | None]:
        *rest, requests = call
        after, history, agreed = program(state.replace(key=None), key, *rest, repeat(requests))
        return after.replace(key=state.key), history, agreed if several else None

    return advance, exchanged_bytes(compiled.as_text() or "")


def exchanged_bytes(program: str) -> dict[str, int]:
    """Counts the bytes that devices exchange in one step, from the text of a compiled program.

    Args:
      program: from `jax.stages.Compiled.as_text`; it holds each exchange of a step once.

    Returns:
      Bytes of the results on one device, by the kind of exchange: "all-reduce" or "all-gather".
    """
    found: dict[str, int] = {}
    pattern = r"= (\(?[\w\[\]{},:()* /=]*?) (all-reduce|all-gather)(-start)?\("
    for shapes, kind, start in re.findall(pattern, program):
        sizes = [
            math.prod(int(side) for side in sides.split(",") if side) * int(bits) // 8
            for bits, sides in re.findall(r"[a-z]+(\d+)\[([\d,]*)\]", shapes)
        ]
        # An asynchronous all-gather lists its operands before its results.
        if start and kind == "all-gather":
            sizes = sizes[len(sizes) // 2 :]
        found[kind] = found.get(kind, 0) + sum(sizes)
    return found


def to_global(tree: Any, devices: Sequence[Device]) -> Any:
    """Turns arrays of `replicate` into arrays of all processes, as checkpoints are written from."""
    return _reshard(tree, devices)


def to_local(tree: Any, devices: Sequence[Device]) -> Any:
    """Turns arrays of all processes into arrays of this process: the inverse of `to_global`."""
    return _reshard(tree, _own(devices))


def _reshard(tree: Any, devices: Sequence[Device]) -> Any:
    if jax.process_count() == 1:
        return tree
    target = sharding(devices)

    def same(x: jax.Array) -> jax.Array:
        copies = [shard.data for shard in x.addressable_shards]
        return jax.make_array_from_single_device_arrays(x.shape, target, copies)

    return jax.tree.map(same, tree)
