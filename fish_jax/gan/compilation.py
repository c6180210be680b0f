"""Compilation of the training step: options of XLA, and programs for chunks of steps."""

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan.model import Gan
from fish_jax.gan.own import OwnDiscriminator, OwnGenerator
from fish_jax.gan.state import TrainState, create_state
from fish_jax.gan.step import train_step, train_steps

# XLA's newer CPU library computes convolutions with large images, above all kernel gradients, up
# to ten times slower than the one before it. An empty list of what it may take turns it off.
CPU_OPTIONS: jax.stages.CompilerOptions = {"xla_cpu_experimental_ynn_fusion_type": ""}

# With `gan` as a static argument, equal ones share what was traced.
STEPS = jax.jit(train_steps, static_argnames="gan", donate_argnums=0)
STEP = jax.jit(
    lambda state, images, batch, gan: train_step(state, images[batch], gan),
    static_argnames="gan",
    donate_argnums=0,
)
CREATE = jax.jit(create_state, static_argnums=0)


def check_jit() -> None:
    """Checks that JAX compiles, which training and exports do ahead of the first call.

    Raises:
      UserError: JAX_DISABLE_JIT is set.
    """
    if jax.config.values["jax_disable_jit"]:
        raise UserError(
            "JAX_DISABLE_JIT=1 is set, but training and exports need compilation; unset it. To "
            "debug one step, call fish_jax.train_step under jax.disable_jit()"
        )


@functools.cache
def options() -> jax.stages.CompilerOptions:
    """Options for `jax.jit(..., compiler_options=)`, or {} where this XLA does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x + 1).lower(1.0).compile(compiler_options=CPU_OPTIONS)
    except jax.errors.JaxRuntimeError:
        return {}
    return CPU_OPTIONS


def compile_steps(gan: Gan, state: TrainState, steps: int, batch_size: int, rows: int) -> Callable:
    """Compiles `train_steps` for calls of up to `steps` steps.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step.
      steps: most steps in a call.
      batch_size: images per step.
      rows: images in the array that a call is given.

    Returns:
      `train_steps` without its argument `gan`. The memory of the state given to it is donated, so
      that only one state is held.
    """
    images = jax.ShapeDtypeStruct((rows, *gan.image_shape), np.uint8)
    batches = jax.ShapeDtypeStruct((steps, batch_size), np.int32)
    if _is_slow_in_a_loop(gan):
        batch = jax.ShapeDtypeStruct((batch_size,), np.int32)
        step = compile_apart(STEP.lower(state, images, batch, gan=gan), options())
        return functools.partial(_one_by_one, step)
    return compile_apart(STEPS.lower(state, images, batches, np.int32(1), gan=gan), options())


def _is_slow_in_a_loop(gan: Gan) -> bool:
    """Whether XLA may compute the convolutions of a caller's networks slowly inside a loop.

    On a CPU it brings convolutions into the order of dimensions that its fast kernels know outside
    of loops only. `networks.ops.convolution` has that order from the start; a caller's Flax modules
    took five times as long in a loop.
    """
    own = isinstance(gan.generator, OwnGenerator) or isinstance(gan.discriminator, OwnDiscriminator)
    return own and jax.default_backend() == "cpu"


def _one_by_one(
    step: Callable, state: TrainState, images: jax.Array, batches: np.ndarray, count: np.int32
) -> tuple[TrainState, Mapping[str, np.ndarray]]:
    """Does what `train_steps` does, with a call of a compiled `train_step` for each step."""
    lines = []
    for batch in batches[:count]:
        state, metrics = step(state, images, batch)
        lines.append(metrics)
    history = {name: np.zeros(len(batches), value.dtype) for name, value in lines[0].items()}
    for index, metrics in enumerate(jax.device_get(lines)):
        for name, value in metrics.items():
            history[name][index] = value
    return state, history


def compile_apart(
    lowered: jax.stages.Lowered, options: jax.stages.CompilerOptions
) -> jax.stages.Compiled:
    """Compiles in a thread, so that Ctrl-C works meanwhile: Python handles it outside XLA only."""
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(lowered.compile, compiler_options=options).result()
    finally:
        executor.shutdown(wait=False)
