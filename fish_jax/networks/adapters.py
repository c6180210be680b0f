"""Flax modules of a caller as generator and discriminator, called as those of layer tables are.

A generator maps latents [N, latent_size] to images [N, H, W, C] in [-1, 1]; a discriminator maps
images to scores [N] or [N, 1], or to (scores, features) or (scores, features, codes). Each takes
`train` by name. Both may have the collections `params` and `batch_stats`, as of `nn.BatchNorm` and
`nn.SpectralNorm`, and draw from the random stream `dropout` in training.

Where devices share a batch, each computes its part of it. A module with a field `axis_name` gets
the name of the devices' axis there, which `nn.BatchNorm` takes, too. What else mixes images, and
dropout, depends on the number of devices.
"""

import dataclasses
import functools
import inspect
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.summary import tabulate

from fish_jax.errors import UserError
from fish_jax.networks.ops import collectives
from fish_jax.networks.spec import Rows
from fish_jax.networks.summary import LayerPlan
from fish_jax.utils.seeds import seed_key
from fish_jax.utils.validation import shown

COLLECTIONS = {"params", "batch_stats"}


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    """A caller's module, with those methods of a Flax module that a run needs.

    Attributes:
      module: called as `module(inputs, train=...)`.
      dtype: the dtype of the outputs.
      axis_name: the axis name of the devices that share a batch, or None.
    """

    module: nn.Module
    dtype: jax.typing.DTypeLike = jnp.float32
    axis_name: str | None = None
    role: ClassVar[str] = "network"
    decoder: ClassVar[Rows] = ()  # there is no autoencoder to show

    @classmethod
    def of(cls, module: Any, dtype: jax.typing.DTypeLike) -> Self:
        """The network of a module.

        Raises:
          UserError: it is no module of Flax, cannot be compared, or is called in another way.
        """
        _check_module(cls.role, module)
        return cls(module, dtype)

    @property
    def name(self) -> str:
        """The name of the module's class."""
        return type(self.module).__name__

    def clone(self, *, axis_name: str) -> Self:
        """The network for steps whose batch several devices share."""
        module = self.module
        if "axis_name" in {field.name for field in dataclasses.fields(module)}:
            module = module.clone(axis_name=axis_name)
        return dataclasses.replace(self, module=module, axis_name=axis_name)

    def init(self, key: jax.Array, inputs: jax.Array) -> dict[str, Any]:
        """Initial variables; statistics, which Flax begins in float32, in the network's type."""
        variables = dict(self.module.init(key, inputs, train=False))
        if "batch_stats" in variables:
            cast = lambda leaf: leaf.astype(self.dtype)
            variables["batch_stats"] = jax.tree.map(cast, variables["batch_stats"])
        return variables

    def apply(
        self,
        variables: Any,
        inputs: jax.Array,
        keys: jax.Array | None = None,
        train: bool = False,
        mutable: Any = (),
    ) -> Any:
        """The outputs; in training with `mutable` set, also the updated statistics.

        Args:
          variables: {"params": ..., "batch_stats": ...}.
          inputs: [N, ...].
          keys: N keys, in training; the first is that of dropout.
          train: whether the module is in training mode.
          mutable: whether to return {"batch_stats": ...} beside the outputs.
        """
        if not train:
            return self._complete(self.module.apply(variables, inputs, train=False), inputs)
        outputs, updated = self._train(variables, inputs, None if keys is None else keys[0])
        outputs = self._complete(outputs, inputs)
        # Statistics that each device has of its own part would differ from one to the other.
        return (outputs, collectives.pmean(updated, self.axis_name)) if mutable else outputs

    def _train(self, variables: Any, inputs: jax.Array, key: jax.Array | None) -> Any:
        """The module's outputs in training mode, and its updated statistics."""
        rngs = {} if key is None else {"dropout": key}
        return self.module.apply(variables, inputs, train=True, rngs=rngs, mutable=["batch_stats"])

    def _complete(self, outputs: Any, inputs: jax.Array) -> tuple[Any, ...]:
        """The outputs as a network of layer tables gives them."""
        raise NotImplementedError

    def passes(self, variables: Any, inputs: jax.Array, key: jax.Array) -> tuple[Any, ...]:
        """Everything that a run computes with the module: forwards and back, and in inference.

        Args:
          variables: {"params": ..., "batch_stats": ...}.
          inputs: [N, ...].
          key: the key of dropout.
        """
        train = lambda params, inputs: self._train({**variables, "params": params}, inputs, key)
        outputs, pull = jax.vjp(train, variables["params"], inputs)
        back = pull(jax.tree.map(jnp.ones_like, outputs))
        return outputs, back, self.module.apply(variables, inputs, train=False)

    def table(self, inputs: jax.ShapeDtypeStruct) -> str:
        """The layers of the module as text, by `nn.tabulate`."""
        width = {"width": 110, "force_terminal": False, "no_color": True}
        draw = tabulate(self.module, seed_key(0), console_kwargs=width)
        return draw(jnp.zeros(inputs.shape, inputs.dtype), train=False).strip("\n") + "\n"


class OwnGenerator(OwnNetwork):
    """A caller's generator."""

    role = "generator"

    def _complete(self, outputs: Any, inputs: jax.Array) -> tuple[Any, ...]:
        """Images, and no features."""
        if not isinstance(outputs, jax.Array):
            raise UserError(
                f"the generator {self.name} must return images, not a {type(outputs).__name__}"
            )
        return outputs.astype(self.dtype), ()


class OwnDiscriminator(OwnNetwork):
    """A caller's discriminator."""

    role = "discriminator"

    def _complete(self, outputs: Any, inputs: jax.Array) -> tuple[Any, ...]:
        """Scores [N], features and codes; () for what the module does not give."""
        given, count = outputs if isinstance(outputs, tuple) else (outputs,), len(inputs)
        arrays = all(isinstance(each, jax.Array) for each in given)
        if not arrays or given[0].shape not in ((count,), (count, 1)) or len(given) > 3:
            kinds = [str(getattr(each, "shape", type(each).__name__)) for each in given]
            raise UserError(
                f"the discriminator {self.name} must return scores, one per image, [{count}] or "
                f"[{count}, 1]; (scores, features); or (scores, features, codes). It returns "
                f"{', '.join(kinds)}"
            )
        scores, *rest = [each.astype(self.dtype) for each in given]
        return (scores.reshape(count), *rest, (), ())[:3]


@dataclasses.dataclass(frozen=True)
class AbsentDiscriminator:
    """Stands for a discriminator that nobody passed in, where images are only made.

    Attributes:
      message: says what to pass in.
    """

    message: str
    decoder: ClassVar[Rows] = ()

    def clone(self, *, axis_name: str) -> Self:
        """The same."""
        return self

    def init(self, key: jax.Array, inputs: jax.Array) -> dict[str, Any]:
        """No variables."""
        return {"params": {}}

    def apply(self, *_: Any, **__: Any) -> Any:
        """Asks for the discriminator."""
        raise UserError(self.message)


def _check_module(role: str, module: Any) -> None:
    """Refuses what is no Flax module, or cannot be called as one of a run."""
    if not isinstance(module, nn.Module):
        raise UserError(
            f"{role} must be a module of flax.linen, such as MyNetwork(), not {shown(module)}"
        )
    name = type(module).__name__
    try:
        hash(module)
    except TypeError as error:
        raise UserError(
            f"a field of the {role} {name} cannot be compared ({error}); use numbers, texts, "
            "functions and tuples of them"
        ) from None
    try:
        inspect.signature(module).bind(None, train=True)
    except TypeError as error:
        raise UserError(
            f"the {role} {name} must take its inputs and train, as __call__(self, x, train): "
            f"{error}"
        ) from None


@functools.cache
def variables_of(network: Any, inputs: jax.ShapeDtypeStruct) -> dict[str, Any]:
    """Shapes and types of a network's variables."""
    one = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype)
    return jax.eval_shape(lambda one: network.init(seed_key(0), one), one)


@functools.cache
def outputs(network: OwnNetwork, inputs: jax.ShapeDtypeStruct) -> tuple[Any, ...]:
    """Shapes and types of a network's outputs in training, from a trace.

    Args:
      network: the network of the caller.
      inputs: shape and type of a batch.

    Raises:
      UserError: the outputs are of another kind, or the network has other collections.
    """
    variables = variables_of(network, inputs)
    if "params" not in variables or variables.keys() - COLLECTIONS:
        raise UserError(
            f"the {network.role} {network.name} has the collections {', '.join(variables)}; only "
            "params and batch_stats are supported"
        )
    train = functools.partial(network.apply, train=True)
    keys = jax.eval_shape(lambda: seed_key(0)[None])
    return jax.eval_shape(train, variables, inputs, keys)


@functools.cache
def has_batch_norm(network: OwnNetwork, inputs: jax.ShapeDtypeStruct) -> bool:
    """Whether a network calls `nn.BatchNorm`, with which an image's score depends on others."""
    found = []

    def look(method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        found.append(isinstance(context.module, nn.BatchNorm))
        return method(*args, **kwargs)

    one = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype)
    with nn.intercept_methods(look):
        jax.eval_shape(lambda one: network.init(seed_key(0), one), one)
    return any(found)


@functools.cache
def plan(network: OwnNetwork, inputs: jax.ShapeDtypeStruct) -> tuple[LayerPlan]:
    """The whole network as one row of a plan, its operations as XLA counts them.

    Args:
      network: the network of the caller.
      inputs: shape and type of a batch.
    """
    one = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype)
    variables = variables_of(network, inputs)
    apply = lambda variables, one: network.apply(variables, one)[0]
    lowered = jax.jit(apply).lower(variables, one)
    cost: Any = lowered.cost_analysis() or {}
    shape = lowered.out_info.shape[1:]
    count = lambda name: sum(leaf.size for leaf in jax.tree.leaves(variables.get(name, {})))
    flops = round(cost.get("flops", 0))
    row = LayerPlan(network.name, network.name, shape, count("params"), count("batch_stats"), flops)
    return (row,)
