"""fish_jax itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import fish_jax
from benchmarks import common
from fish_jax import compilation, describe
from fish_jax.losses import Targets

CALL = 64  # most updates in one call of the device


def _filled(params: dict, weights: common.Weights) -> dict:
    """The parameters with the shared kernels, in the order of the rows."""
    filled = dict(params)
    for name in sorted(params):
        if "kernel" in params[name]:
            kernel = jnp.asarray(weights(params[name]["kernel"].shape))
            filled[name] = params[name] | {"kernel": kernel}
    return filled


def _with_weights(state: fish_jax.state.TrainState) -> fish_jax.state.TrainState:
    discriminator = {
        part: _filled(state.discriminator_params[part], common.Weights(seed))
        for seed, part in ((1, "encode"), (2, "decode"))
        if part in state.discriminator_params
    }
    generator = _filled(state.generator_params, common.Weights(0))
    return state.replace(generator_params=generator, discriminator_params=discriminator)


def prepare(config, batch: int, mode: str, device: str) -> common.Contestant:
    """The jitted step with its state donated, as `fish_jax.train` runs it; `mode` is unused."""
    if jax.default_backend() != device:
        raise common.LeftOut(f"JAX finds no {device.upper()} here, but {jax.devices()}")
    gan = fish_jax.make_gan(config)
    create = jax.jit(functools.partial(fish_jax.create_state, gan))
    state = create(np.uint32(0))
    size = (config["height"], config["width"])
    images = jnp.asarray(common.draw_images(common.IMAGES, *size))
    indices = np.arange(CALL * batch, dtype=np.int32).reshape(CALL, batch) % common.IMAGES
    advance = jax.jit(
        functools.partial(fish_jax.train_steps, gan=gan),
        donate_argnums=0,
        compiler_options=compilation.options(),
    )

    def run(count: int) -> None:
        nonlocal state
        for start in range(0, count, CALL):  # the next is asked for before the last is done
            steps = np.int32(min(CALL, count - start))
            state, history = advance(state, images, indices, steps)
        jax.block_until_ready((state, history))

    def trace(folder: str, count: int) -> None:
        with jax.profiler.trace(folder):
            for _ in range(3):
                run(count)

    def check() -> dict[str, list[float]]:
        plain = config.copy_and_resolve_references()
        plain.discriminator.dropout = 0.0
        gan = fish_jax.make_gan(plain)
        state = _with_weights(create(np.uint32(0)))
        latents = jnp.asarray(common.draw_latents(common.CHECKED, gan.latent_size))
        draws = fish_jax.draw(gan, state.key, 0, common.CHECKED)._replace(
            latents=latents,
            discriminator_latents=latents,
            targets=Targets(
                *(jnp.full(common.CHECKED, label) for label in common.middle_labels(config))
            ),
        )
        checked = jnp.asarray(common.draw_images(common.CHECKED, *size))
        losses = fish_jax.compute_gradients(state, checked, draws, gan).losses
        count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
        counts = [count(state.generator_params), count(state.discriminator_params)]
        return {"parameters": counts, "losses": [float(loss) for loss in losses]}

    used = jax.devices()[0]
    text = f"JAX {jax.__version__}, {used.device_kind}, {compilation.options()}"
    peak = lambda: used.memory_stats()["peak_bytes_in_use"]
    peak = peak if device == "gpu" else None
    return common.Contestant(text, check, run, describe.step_flops(gan), peak, trace)
