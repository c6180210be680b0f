"""One device, several, several hosts: the only file that knows which there are.

On one device the steps are `jax.jit`'s; on several they are `jax.pmap`'s, each device with its part
of every batch and with the whole state. Processes, one or more on a host, run the same program:
outside of it each sees the arrays of its own devices alone. What one process learns by itself (a
signal, the time) becomes known to all by the steps: a call takes the wishes of each and gives back
the largest.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fish_jax.errors import UserError
from fish_jax.gan import compilation
from fish_jax.gan.model import Gan, share_batches
from fish_jax.gan.state import TrainState
from fish_jax.gan.step import train_steps

AXIS = "devices"


class Wishes(NamedTuple):
    """What a process wants of the loop; of several processes the largest numbers hold.

    Attributes:
      stop: number of the signal that came, or 0.
      save: 1 if a checkpoint is due.
      length: steps that a call should have.
    """

    stop: int = 0
    save: int = 0
    length: int = 1


# From a state, images, indices, a number of steps and the wishes of this process to the state,
# metrics and the wishes of all processes, None where there is but one.
Advance = Callable[[TrainState, jax.Array, np.ndarray, np.integer, Wishes], tuple]


def choose_devices(limit: int, batch_size: int) -> tuple[jax.Device, ...]:
    """The devices that share each batch, in the order of their parts.

    Args:
      limit: most devices, as many of each process; 0 for all that there are.
      batch_size: images per step.

    Returns:
      All of them, those of other processes too.

    Raises:
      UserError: they are not as many of each process, or do not divide the batch.
    """
    processes, here = jax.process_count(), len(jax.local_devices())
    count = min(limit, here * processes) or here * processes
    if count % processes:
        raise UserError(
            f"devices must be a multiple of the {processes} processes, or 0 for all, not {limit}"
        )
    if batch_size % count:
        below = batch_size // count * count
        nearest = f"{below} and {below + count}" if below else str(count)
        raise UserError(
            f"a batch of {batch_size} does not divide among {count} devices; the nearest "
            f"batch_size that does: {nearest}; or choose fewer with devices"
        )
    return tuple(
        device
        for process in range(processes)
        for device in jax.local_devices(process)[: count // processes]
    )


def _own(devices: Sequence[jax.Device]) -> list[jax.Device]:
    return [device for device in devices if device.process_index == jax.process_index()]


def sharding(devices: Sequence[jax.Device], *axes: str) -> jax.sharding.Sharding:
    """A copy of an array on each device; with `AXIS`, a part of it."""
    if len(devices) == 1:
        return jax.sharding.SingleDeviceSharding(devices[0])
    return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(*axes))


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Copies arrays to each of this process' devices."""
    return jax.device_put(tree, sharding(_own(devices)))


def first_copy(tree: Any) -> Any:
    """The arrays of `replicate` on this process' first device, without a copy."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)


def shares(batches: np.ndarray, devices: Sequence[jax.Device]) -> np.ndarray:
    """The parts of batches that this process' devices take: [K, N] to [K, own devices, n]."""
    own = [device.process_index == jax.process_index() for device in devices]
    return batches.reshape(len(batches), len(devices), -1)[:, own]


def place_shares(images: np.ndarray, devices: Sequence[jax.Device]) -> jax.Array:
    """Gives each of this process' devices its images: [own devices, n, H, W, 3]."""
    if len(devices) == 1:
        return jax.device_put(images[0], devices[0])
    return jax.device_put(images, sharding(_own(devices), AXIS))


def compile_steps(
    gan: Gan,
    state: TrainState,
    images: jax.Array,
    batches: np.ndarray,
    streams: bool,
    devices: Sequence[jax.Device],
) -> tuple[Advance, dict[str, int]]:
    """Compiles `train_steps` for the devices.

    Args:
      gan: the fixed parts of the run.
      state: from `replicate`.
      images: that a call is given.
      batches: indices into them, int32 [K, own devices, n].
      streams: whether each device is given images of its own.
      devices: from `choose_devices`.

    Returns:
      What runs a call and takes over the memory of the state given; and the bytes that devices
      exchange in a step, from `exchanged_bytes`.
    """
    if len(devices) == 1:
        return _compile_single(gan, state, images, batches), {}
    return _compile_mapped(gan, state, images, batches, streams, devices)


def _compile_single(gan, state, images, batches):
    steps, _, share = batches.shape
    single = compilation.compile_steps(gan, state, steps, share, len(images))

    def advance(state, images, batches, count, _):
        return *single(state, images, batches[:, 0], count), None

    return advance


def _compile_mapped(gan, state, images, batches, streams, devices):
    # The key goes apart, as numbers: `jax.pmap` waits for a typed key of the call before.
    key, implementation = first_copy(state.key), jax.random.key_impl(state.key)
    key = np.asarray(jax.random.key_data(key))
    mapped = jax.pmap(
        functools.partial(_advance, gan=share_batches(gan, AXIS), implementation=implementation),
        AXIS,
        in_axes=(None, None, 0 if streams else None, 1, None, 0),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )
    wishes = _spread_wishes(Wishes(), batches.shape[1])
    lowered = mapped.lower(state.replace(key=None), key, images, batches, np.int32(1), wishes)
    if jax.process_count() > 1:
        # A program compiled ahead takes no process' own arrays; this one is found again by calls.
        compiled = compilation.compile_apart(lowered, {})
        program = mapped
    else:
        program = compiled = compilation.compile_apart(lowered, compilation.options())

    def advance(state, images, batches, count, wishes):
        each = _spread_wishes(wishes, batches.shape[1])
        arguments = key, images, batches, count, each
        after, history, heard = program(state.replace(key=None), *arguments)
        heard = heard if jax.process_count() > 1 else None
        return after.replace(key=state.key), history, heard

    return advance, exchanged_bytes(compiled.as_text())


def _advance(state, key, images, batches, count, wishes, gan, implementation):
    state = state.replace(key=jax.random.wrap_key_data(key, impl=implementation))
    state, history = train_steps(state, images, batches, count, gan)
    return state.replace(key=None), history, jax.lax.pmax(wishes, AXIS)


def _spread_wishes(wishes: Wishes, count: int) -> np.ndarray:
    return np.tile(np.array(wishes, np.int32), (count, 1))


def exchanged_bytes(program: str) -> dict[str, int]:
    """What the devices exchange in one step, read from a compiled program.

    Args:
      program: its text, as `jax.stages.Compiled.as_text` has it, with each exchange of a step once.

    Returns:
      Bytes of the results on a device, by the kind of exchange: "all-reduce", which are sums, or
      "all-gather".
    """
    found: dict[str, int] = {}
    pattern = r"= (\(?[\w\[\]{},:()* /=]*?) (all-reduce|all-gather)(-start)?\("
    for shapes, kind, start in re.findall(pattern, program):
        sizes = [
            math.prod(int(side) for side in sides.split(",") if side) * _bits(dtype) // 8
            for dtype, sides in re.findall(r"([a-z]+\d+)\[([\d,]*)\]", shapes)
        ]
        # Begun and not waited for, a gathering names its operand ahead of its result.
        if start and kind == "all-gather":
            sizes = sizes[len(sizes) // 2 :]
        found[kind] = found.get(kind, 0) + sum(sizes)
    return found


def _bits(dtype: str) -> int:
    return int(re.search(r"\d+", dtype)[0])


def to_global(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The arrays of `replicate` as arrays of all processes, which a checkpoint is written from."""
    if jax.process_count() == 1:
        return tree
    return _reshard(tree, sharding(devices))


def to_local(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The inverse of `to_global`."""
    if jax.process_count() == 1:
        return tree
    return _reshard(tree, sharding(_own(devices)))


def _reshard(tree: Any, target: jax.sharding.Sharding) -> Any:
    def same(x: jax.Array) -> jax.Array:
        copies = [shard.data for shard in x.addressable_shards]
        return jax.make_array_from_single_device_arrays(x.shape, target, copies)

    return jax.tree.map(same, tree)
