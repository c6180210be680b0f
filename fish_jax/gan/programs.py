"""What a run records about parts that its caller passed: their names and programs.

A program is the jaxpr of a part: what it computes, in training and back. Its digest is the same in
every process and on every device, but not under another version of JAX, Flax or optax.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from fish_jax.gan.model import Gan, features_of, images_of
from fish_jax.gan.own import Own, given
from fish_jax.gan.state import create_state
from fish_jax.losses import Targets
from fish_jax.losses.penalties import sum_of_squares
from fish_jax.losses.registry import name_of
from fish_jax.networks import adapters
from fish_jax.utils.config import Config
from fish_jax.utils.seeds import seed_key


def remember(config: Config, gan: Gan, own: Own) -> dict[str, Any]:
    """The config of a run as its folder stores it, with passed parts in a section `own`.

    Args:
      config: in JSON's types.
      gan: the gan of this config and these parts.
      own: what was passed in.

    Returns:
      A copy, in JSON's types: own.loss.name, own.loss.program and so on, and own.traced_with, the
      versions that the programs are of. The loss's name is loss.name as well.
    """
    parts = given(config, own)
    if not parts:
        return {**config}
    kept: dict[str, Any] = {name: _kept(gan, config, name, part) for name, part in parts.items()}
    kept["traced_with"] = (
        f"jax {jax.__version__}, flax {flax.__version__}, optax {optax.__version__}"
    )
    return {**config, "loss": {**config["loss"], "name": gan.loss.name}, "own": kept}


def _kept(gan: Gan, config: Config, name: str, part: Any) -> dict[str, Any]:
    """The name of a part, the digest of its program, and of a loss the kind of its scores."""
    batch = jax.ShapeDtypeStruct((config["batch_size"],), gan.dtype)
    match name:
        case "loss":
            return {"name": gan.loss.name, "program": _loss(gan, batch), "energy": gan.energy}
        case "penalty":
            penalty = gan.penalties[-1]
            program = _penalty(penalty.function, images_of(gan, *batch.shape))
            facts = {"at": penalty.at, "weight": penalty.weight}
            return {"name": name_of(penalty.function), "program": program} | facts
        case "feature_matching":
            features = features_of(gan, *batch.shape)
            return {"name": name_of(part), "program": digest(part, features, features)}
        case "generator" | "discriminator":
            latents = jax.ShapeDtypeStruct((*batch.shape, gan.latent_size), gan.dtype)
            inputs = latents if name == "generator" else images_of(gan, *batch.shape)
            network: Any = getattr(gan, name)
            return {"name": name_of(type(part)), "program": _network(network, inputs)}
    state = jax.eval_shape(lambda: create_state(gan, 0))
    params = getattr(state, name.replace("optimizer", "params"))
    update = lambda gradients, params: part.update(gradients, part.init(params), params)
    return {"name": name_of(part), "program": digest(update, params, params)}


def _loss(gan: Gan, scores: jax.ShapeDtypeStruct) -> str:
    """The digest of a loss: its initial state, both losses, their gradients, state and metrics."""

    def passes(real: jax.Array, fake: jax.Array, targets: Targets) -> Any:
        def losses(real: jax.Array, fake: jax.Array) -> Any:
            values, *after = gan.objective.apply(real, fake, state, targets)
            return values, after

        state = jax.tree.map(lambda value: jnp.asarray(value, gan.dtype), gan.objective.init())
        values, pull, after = jax.vjp(losses, real, fake, has_aux=True)
        return values, pull(jax.tree.map(jnp.ones_like, values)), after

    targets = Targets(*[scores] * 3)  # pyright: ignore[reportArgumentType]  # of these shapes
    return digest(passes, scores, scores, targets)


def _penalty(function: Callable[..., jax.Array], images: jax.ShapeDtypeStruct) -> str:
    """The digest of a penalty, of a critic that sums squares."""
    return digest(lambda images: function(sum_of_squares, images), images)


@functools.cache  # the runs of a comparison share it
def _network(network: adapters.OwnNetwork, inputs: jax.ShapeDtypeStruct) -> str:
    """The digest of a network, in training and in inference."""
    key = jax.eval_shape(lambda: seed_key(0))
    return digest(network.passes, adapters.variables_of(network, inputs), inputs, key)


def digest(function: Callable[..., Any], *arguments: Any) -> str:
    """A digest of what a function computes.

    Args:
      function: pure, of arrays.
      arguments: trees of arrays, or of their shapes and types.

    Returns:
      16 hexadecimal digits; equal for functions that are traced to equal programs, whatever their
      names and comments. What a callback to Python computes (`jax.pure_callback`) is not seen: the
      digest stays as it is where only that changes.
    """
    program = jax.make_jaxpr(function)(*arguments)
    return _hash(_canonical(program).encode())[:16]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _canonical(program: Any) -> str:
    """A jaxpr as text: operations, shapes and numbers, and no names of functions.

    JAX's own text will not do: it depends on which programs its caches share.
    """
    jaxpr, numbers = getattr(program, "jaxpr", program), {}

    def atom(variable: Any) -> str:
        if hasattr(variable, "val"):
            return _array(variable.val)
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval}"

    lines = [_array(value) for value in getattr(program, "consts", ())]
    lines += map(atom, (*jaxpr.constvars, *jaxpr.invars))
    for equation in jaxpr.eqns:
        parameters = {k: _parameter(v) for k, v in sorted(equation.params.items()) if k != "name"}
        taken, given = ([*map(atom, each)] for each in (equation.invars, equation.outvars))
        lines.append(f"{equation.primitive} {parameters} {taken} {given}")
    return "\n".join([*lines, *map(atom, jaxpr.outvars)])


def _parameter(value: Any) -> str:
    """A parameter of an operation as text."""
    if hasattr(value, "eqns"):
        return _hash(_canonical(value).encode())
    if isinstance(value, (np.ndarray, jax.Array)):
        return _array(value)
    if isinstance(value, (tuple, list)):
        return str([*map(_parameter, value)])
    if isinstance(value, (set, frozenset)):
        return str(sorted(map(_parameter, value)))
    if callable(value) and not isinstance(value, type):
        return ""  # a rule of derivatives, say, which is traced where it is used
    return re.sub(r"\b0x[0-9a-f]+", "", str(value))  # without places in memory


def _array(value: Any) -> str:
    """The type, the shape and the numbers of an array as text."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    return f"{array.dtype}{array.shape}{_hash(array.tobytes())}"
