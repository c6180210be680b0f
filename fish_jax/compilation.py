"""How XLA compiles the training step."""

import functools

import jax

# XLA's newer CPU library computes convolutions with large images, above all kernel gradients, up
# to ten times slower than the one before it. An empty list of what it may take turns it off.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def options() -> dict[str, str]:
    """Options for `jax.jit(..., compiler_options=)`, or none where this XLA does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x + 1).lower(1.0).compile(compiler_options=CPU_OPTIONS)
    except jax.errors.JaxRuntimeError:
        return {}
    return CPU_OPTIONS
