"""The contestant fish_jax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import fish_jax
from benchmarks import common
from fish_jax.gan import compilation, summary
from fish_jax.gan.state import TrainState
from fish_jax.losses import Targets
from fish_jax.training import data_parallel, input_pipeline


def _filled(params: dict, weights: common.Weights) -> dict:
    """The parameters with the shared kernels, in the order of the rows."""
    filled = dict(params)
    for name in sorted(params):
        if "kernel" in params[name]:
            kernel = jnp.asarray(weights(params[name]["kernel"].shape))
            filled[name] = params[name] | {"kernel": kernel}
    return filled


def _with_weights(state: TrainState) -> TrainState:
    discriminator = {
        part: _filled(state.discriminator_params[part], common.Weights(seed))
        for seed, part in ((1, "encode"), (2, "decode"))
        if part in state.discriminator_params
    }
    generator = _filled(state.generator_params, common.Weights(0))
    return state.replace(generator_params=generator, discriminator_params=discriminator)


def prepare(config, mode: str, device: str) -> common.Contestant:
    """The compiled steps and input pipeline, as `fish_jax.train` runs them; `mode` is unused."""
    if jax.default_backend() != device:
        raise common.LeftOut(f"JAX finds no {device.upper()} here, but {jax.devices()}")
    gan = fish_jax.make_gan(config)
    create = jax.jit(functools.partial(fish_jax.create_state, gan))
    state = create(np.uint32(0))
    size = (config["height"], config["width"])
    plan = input_pipeline.Plan(input_pipeline.CHUNK, config.data.count, streams=False)
    images, devices = common.draw_images(config.data.count, *size), jax.local_devices()[:1]
    inputs = input_pipeline.make_pipeline(config, images, plan, devices)
    advance, _ = data_parallel.compile_steps(gan, state, *inputs(0, 1), plan.streams, devices)
    requests = data_parallel.Requests()
    done = 0

    def run(count: int) -> None:
        """A run of no step is a call as well."""
        nonlocal state, done
        for start in range(0, max(count, 1), plan.steps):  # asked for before the last is done
            steps = min(plan.steps, count - start)
            call = (*inputs(done, steps), np.int32(steps), requests)
            state, history, _ = advance(state, *call)
            done += steps
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
    return common.Contestant(text, check, run, summary.step_flops(gan), peak, trace)
