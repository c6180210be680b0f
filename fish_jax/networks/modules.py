"""The networks as Flax modules: `Stack` computes a layer table, `Discriminator` scores images.

A table holds defaults and `layers`, a sequence of rows, each a mapping that names its `op` and may
override the defaults. A row is computed in this order: the operation, normalisation, activation,
dropout, noise. `spec.read_rows` checks a table, and `summary.plan` follows the shapes through it.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fish_jax.networks import layers
from fish_jax.networks.ops import linear_resampling, pooling, pyramid
from fish_jax.networks.spec import (
    ENERGIES,
    KERNEL_OPS,
    Row,
    Rows,
    kernel_initializer,
    made_sizes,
)

RESAMPLE = {
    ("upsample", "box"): pooling.upsample_nearest,
    ("upsample", "linear"): linear_resampling.upsample_linear,
    ("downsample", "box"): pooling.mean_pool,
    ("downsample", "linear"): linear_resampling.downsample_linear,
}


def _activate(x: jax.Array, row: Row) -> jax.Array:
    if row.activation == "none":
        return x
    if row.activation == "leaky_relu":
        return nn.leaky_relu(x, row.slope)
    return {"relu": nn.relu, "elu": layers.elu, "tanh": jnp.tanh}[row.activation](x)


def fold_keys(keys: jax.Array | None, stream: int) -> jax.Array:
    """Derives a key per image for one use of randomness, a stream, from keys per image."""
    if keys is None:
        raise ValueError("a network with dropout or noise needs keys in training, one per image")
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)


def dropout_keys(keys: jax.Array | None, index: int) -> jax.Array:
    """The keys, one per image, of the dropout mask of a table's row."""
    return fold_keys(keys, 2 * index)


class Stack(layers.Arithmetic):
    """A network: the rows of a table, one after the other.

    Attributes:
      rows: from `spec.read_rows`.
      image_size: (height, width) of the images made, where the table has a `project`.
      axis_name: the axis name of the devices that share a batch in training, or None.
      start, stop: the rows that are computed, where levels are left out; None: to the last.
      dtype: the dtype of the computation, except for batch statistics and the last activation.
      param_dtype: the param dtype of parameters and statistics, and of the network's outputs.
      precision: the precision of convolutions and matrix products.
    """

    rows: Rows
    image_size: tuple[int, int] = (1, 1)
    axis_name: str | None = None
    start: int = 0
    stop: int | None = None

    @property
    def _sizes(self) -> tuple[tuple[int, int], ...]:
        return made_sizes(self.rows, self.image_size)

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Computes the network.

        Args:
          x: [N, ...].
          keys: N keys for dropout and noise; needed where a row has them and `train` is set.
          train: use and update the batch's statistics, drop out and add noise.

        Returns:
          The output, and the input of the last row that has a kernel: its features.
        """
        image, made = x, None  # of the next level; made so far
        features = x = x.astype(self.dtype)
        for index, row in list(enumerate(self.rows))[self.start : self.stop]:
            if row.op in KERNEL_OPS:
                features = x
            if row.op == "to_image":
                made = self._to_image(x, made, row, index, train)
                continue
            if row.op == "from_image":
                own, image = self._operate(image, row, index, train), pyramid.halve(image)
                x = own if index == self.start else own + x
            else:
                x = self._operate(x, row, index, train)
            x = self._finish(x, row, index, keys, train)
        return x if made is None else made, features.astype(self.param_dtype)

    def _finish(
        self, x: jax.Array, row: Row, index: int, keys: jax.Array | None, train: bool
    ) -> jax.Array:
        """What follows a row's operation: normalisation, activation, dropout, noise."""
        if row.norm == "batch":
            settings = (row.norm_momentum, row.norm_epsilon, self.dtype, self.param_dtype)
            norm = layers.BatchNorm(*settings, self.axis_name, name=f"{index:02d}_norm")
            x = norm(x, train)
        if index == len(self.rows) - 1:  # a tanh rounded to bfloat16 would change pixels
            x = x.astype(self.param_dtype)
        x = x if row.op == "residual" else _activate(x, row)
        if row.op == "project":
            x = x.reshape(x.shape[0], *self._sizes[index], row.filters)
        if train and row.dropout:
            x = layers.image_dropout(x, dropout_keys(keys, index), row.dropout)
        if train and row.noise:
            x = layers.image_noise(x, fold_keys(keys, 2 * index + 1), row.noise)
        return x

    def _to_image(
        self, x: jax.Array, below: jax.Array | None, row: Row, index: int, train: bool
    ) -> jax.Array:
        """The image of a level: what the features add to the enlarged image of the level below."""
        own = _activate(self._operate(x, row, index, train).astype(self.param_dtype), row)
        return own if below is None else own + pyramid.double(below, self._sizes[index])

    def _operate(self, x: jax.Array, row: Row, index: int, train: bool) -> jax.Array:
        if row.op not in KERNEL_OPS:
            return self._resample(x, row, index)
        layer = self._layer(row, index)
        if row.norm != "spectral":
            return layer(x)
        name = f"{index:02d}_spectral"
        norm = nn.SpectralNorm(layer, param_dtype=self.param_dtype, name=name)
        # Penalties call D in training mode and keep nothing of it.
        update = train and self.is_mutable_collection("batch_stats")
        precision = jax.lax.Precision(self.precision).name.lower() if self.precision else None
        with jax.default_matmul_precision(precision):  # nn.SpectralNorm takes none for its products
            return norm(x, update_stats=update)

    def _resample(self, x: jax.Array, row: Row, index: int) -> jax.Array:
        match row.op:
            case "double":
                return pyramid.double_features(x, self._sizes[index])
            case "flatten":
                return x.reshape(x.shape[0], -1)
            case "max_pool":
                return pooling.max_pool(x, row.size)
            case "upsample" | "downsample":
                return RESAMPLE[row.op, row.filter](x, row.size)
        raise ValueError(row.op)

    def _layer(self, row: Row, index: int) -> layers.KernelLayer:
        """The layer of a row that has a kernel."""
        settings: dict[str, Any] = dict(
            use_bias=row.use_bias,
            kernel_init=kernel_initializer(row.kernel_init, row.op == "conv_transpose"),
            name=f"{index:02d}_{row.op}",
            **self.arithmetic,
        )
        match row.op:
            case "conv" | "conv_transpose" | "to_image" | "from_image":
                settings |= dict(padding=row.padding, transposed=row.op == "conv_transpose")
                return layers.Convolution(row.filters, row.kernel, row.stride, **settings)
            case "residual":
                activate = functools.partial(_activate, row=row)
                return layers.Residual(row.filters, row.kernel, activate, **settings)
            case "dense":
                return layers.Dense(row.filters, **settings)
            case "project":
                units = math.prod(self._sizes[index]) * row.filters
                return layers.Dense(units, **settings)
        raise ValueError(row.op)


class Discriminator(layers.Arithmetic):
    """Maps each image to one score.

    Without a decoder the score is the network's single output, a logit. With a decoder the network
    is an autoencoder, and the score is the image's reconstruction error, an energy, or minus that.

    Attributes:
      encoder: rows from image to logit, or to code.
      decoder: rows from code to image, or none.
      image_size: (height, width).
      energy: "mae", the mean absolute error over an image's numbers, or "mse", the mean square.
      negated: whether the score is minus the energy, and so high for real images, as all losses
        but those of energies take it.
      start: the row at which the encoder starts, where levels are left out.
      dtype, param_dtype, precision, axis_name: of encoder and decoder, as in `Stack`; images and
        scores are of param_dtype.
    """

    encoder: Rows
    decoder: Rows = ()
    image_size: tuple[int, int] = (1, 1)
    energy: str = "mae"
    negated: bool = False
    axis_name: str | None = None
    start: int = 0

    def setup(self) -> None:
        """Creates the encoder, and the decoder if there is one."""
        self.encode = Stack(self.encoder, (1, 1), self.axis_name, self.start, **self.arithmetic)
        if self.decoder:
            self.decode = Stack(self.decoder, self.image_size, self.axis_name, **self.arithmetic)

    def __call__(
        self, images: jax.Array, keys: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Scores images.

        Args:
          images: [N, H, W, C] in [-1, 1].
          keys: N keys for dropout and noise, in training.
          train: see `Stack`.

        Returns:
          Scores [N]; features [N, ...], the activations that enter the encoder's last row; and the
          encoder's output: the code [N, D] of an autoencoder, else the logit [N, 1].
        """
        output, features = self.encode(images, keys, train)
        if self.decoder:
            if keys is not None:
                keys = fold_keys(keys, 2 * len(self.encoder))  # apart from the encoder's
            reconstruction, _ = self.decode(output, keys, train)
            energy = jnp.mean(ENERGIES[self.energy](reconstruction - images), axis=(1, 2, 3))
            return -energy if self.negated else energy, features, output
        return output[:, 0], features, output

    def reconstruct(self, images: jax.Array) -> jax.Array:
        """Reconstructs images [N, H, W, C] in [-1, 1] with the autoencoder, in inference mode."""
        return self.decode(self.encode(images)[0])[0]
