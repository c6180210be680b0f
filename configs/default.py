"""Every field of a run, with the values that most experiments of the report share.

An experiment's file changes what differs. Any field can be set on the command line:
`--config.batch_size=16`, `--config.generator.layers[1].filters=64`.
"""

from typing import Any, NamedTuple

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.name = "default"  # names the folder of the run
    config.seed = 0  # decides initial weights, latents, noise and the order of images
    config.height, config.width = 140, 320  # pixels; any multiples of the generator's up-sampling
    config.batch_size = 32  # images per step
    config.precision = "float32"  # of the networks' arithmetic, or "tf32", "bfloat16"
    config.epochs = 400  # passes over the images; 0: as many as `images` make
    config.images = ()  # that D sees at each level of networks that grow; (): all at once
    config.devices = 0  # that share each batch, at most; 0: all that there are
    config.freeze = 0  # of D's first rows, whose weights stay those that a run starts from

    config.data = ConfigDict()
    config.data.path = ""  # folder, .zip or uint8 .npy [N, H, W, C]; empty: the synthetic fish
    config.data.count = 4415  # synthetic fish drawn, as many as the report had photographs
    config.data.fit = "stretch"  # or "crop" (centre), "pad" (white)
    config.data.resample = "lanczos"  # or "bicubic", "bilinear", "nearest" (the report's)
    config.data.channels = 3  # of images: 1 grey, 3 RGB, 4 RGB and straight alpha
    config.data.include = ""  # file name patterns, comma-separated: "sash_*,rls_*"; empty: all
    config.data.seed = 0  # of the drawn fish, and of the choice of those held out
    config.data.holdout = 0.0  # share of images never trained on, chosen by a hash of the name
    config.data.flips = False  # mirror half of the images, left to right, each time they are seen
    config.data.cache = ""  # folder of decoded images; empty: the user's cache folder
    config.data.device_gigabytes = 0.0  # of images on the device, more stream; 0: half its free

    config.latents = ConfigDict()
    config.latents.size = 100
    config.latents.distribution = "normal"  # N(0, 1), or "uniform", U(-1, 1)

    config.loss = ConfigDict()
    config.loss.name = "bce"  # a key of fish_jax.losses.LOSSES
    config.loss.d_factor = 1.0  # multiplies the discriminator's loss
    config.loss.g_factor = 1.0  # multiplies the generator's
    config.loss.real_label = (1.0, 1.0)  # D's target for real images, U(low, high) per image
    config.loss.fake_label = (0.0, 0.0)  # D's target for generated images
    config.loss.generator_label = (1.0, 1.0)  # G's target for generated images
    config.loss.separate_latents = False  # draw G's latents apart from D's, as BEGAN does
    config.loss.feature_matching = "none"  # or "scalar" (the report's code), "mean", "sum" (paper)
    config.loss.feature_matching_weight = 1.0
    config.loss.gamma = 0.5  # BEGAN's diversity ratio L(G(z)) / L(x)
    config.loss.lambda_k = 0.001  # BEGAN's step of k
    config.loss.energy = "mae"  # of a discriminator that is an autoencoder, or "mse"
    config.loss.margin = 1.0  # EBGAN's, on the energy's scale
    config.loss.pulling_away = 0.0  # weight of EBGAN's term in G's loss; the paper's is 0.1
    config.loss.gradient_penalty = 0.0  # weight of WGAN-GP's; the paper's is 10
    config.loss.r1 = 0.0  # gamma: D's loss has gamma / 2 of the squared gradient at real images
    config.loss.r2 = 0.0  # the same at generated ones
    config.loss.penalty_every = 1  # steps between penalties, which then weigh as much more
    config.loss.clip = 0.0  # WGAN's limit of every weight of D, 0.01 in the paper; 0: none
    config.loss.instance_noise = 0.0  # deviation of noise added to all images that D sees
    config.loss.augment = ""  # of all images that D sees: "color,translation,cutout", or some
    config.loss.discriminator_steps = 1  # D's updates for one of G's

    config.average = ConfigDict()  # of G's weights, with which samples are drawn
    config.average.half_life = 0.0  # images in which it forgets half; 0: no average
    config.average.ramp_up = 0.05  # the half-life is at most this share of the images seen so far

    config.schedule = ConfigDict()  # along a cosine, each from 1 to the share of it given here
    config.schedule.images = 0  # that D sees until then; 0: nothing changes
    config.schedule.learning_rate = 1.0  # of both networks
    config.schedule.forgetting = 1.0  # 1 - b2, of Adam
    config.schedule.penalty = 1.0  # gradient_penalty, r1 and r2

    config.optimizer = ConfigDict()
    config.optimizer.name = "keras_adam"  # or "adam", "sgd", "rmsprop", as optax has them
    config.optimizer.generator_lr = 1e-4
    config.optimizer.discriminator_lr = 2e-4
    config.optimizer.b1 = 0.5
    config.optimizer.b2 = 0.999
    config.optimizer.eps = 1e-7
    config.optimizer.momentum = 0.0  # of sgd

    config.generator = layer_table()
    config.discriminator = layer_table()
    config.discriminator.decoder = ()  # layers from code to image make D an autoencoder (BEGAN)

    config.log_every_steps = 50  # steps averaged into one line of metrics.jsonl
    config.sample_every_epochs = 1  # epochs between grids of samples
    config.evaluate_every_epochs = 0  # epochs between evaluations, each with a checkpoint; 0: none
    config.checkpoint_minutes = 10.0  # minutes of work that a crash may cost
    config.keep_checkpoints = 3  # the newest that are kept
    config.keep_best = "frechet"  # score whose best checkpoint is kept beside them; "": none
    return config.lock()  # a misspelt field in an experiment's file is an error


class Demo(NamedTuple):
    """What `:demo` of an experiment changes: small synthetic fish, narrow networks, few minutes.

    Attributes:
      width: factor on the filters of every hidden layer.
      epochs: passes over the images.
      generator_lr, discriminator_lr: larger than the report's, as there are so few steps.
      size: height and width of the images.
    """

    width: float
    epochs: int
    generator_lr: float
    discriminator_lr: float
    size: tuple[int, int] = (28, 64)


def apply_variant(config: ConfigDict, variant: str, demo: Demo) -> ConfigDict:
    """The config itself, or its demo.

    Args:
      config: of the experiment, changed in place.
      variant: what stands behind the colon of --config: "" or "demo".
      demo: what the demo changes.

    Returns:
      The config.

    Raises:
      ValueError: there is no such variant.
    """
    if variant not in ("", "demo"):
        raise ValueError(f"{config.name} has no variant {variant!r}; the only one is demo")
    if variant == "demo":
        config.name += "-demo"
        config.height, config.width = demo.size
        config.batch_size = 16
        config.epochs = demo.epochs
        config.optimizer.generator_lr = demo.generator_lr
        config.optimizer.discriminator_lr = demo.discriminator_lr
        config.generator.layers = narrowed(config.generator.layers, demo.width)
        config.discriminator.layers = narrowed(config.discriminator.layers, demo.width)
        config.discriminator.decoder = narrowed(config.discriminator.decoder, demo.width)
    return config


def narrowed(layers: tuple[dict, ...], width: float, least: int = 8) -> tuple[dict, ...]:
    """The rows with fewer filters, but not below `least`; images, codes and logits keep theirs."""
    return tuple(
        row | dict(filters=min(row["filters"], max(least, round(row["filters"] * width))))
        if row.get("filters", 0) > 3 and row["op"] != "dense"
        else row
        for row in layers
    )


def layer_table() -> ConfigDict:
    """A layer table: `layers`, and the defaults of its rows; fields as in networks.spec.Row."""
    table = ConfigDict()
    table.layers = ()
    table.use_bias = True
    table.kernel_init = "glorot_uniform"  # or "he_normal", ..., "normal_0.02"
    table.norm = "batch"  # or "spectral", or "none"
    table.norm_momentum = 0.99  # of batch normalisation; Keras' constants
    table.norm_epsilon = 1e-3
    table.activation = "leaky_relu"
    table.slope = 0.3  # of leaky_relu below zero, Keras' default
    table.dropout = 0.0  # share of each hidden row's output set to zero in training
    table.noise = 0.0  # deviation of Gaussian noise added to each hidden row's output in training
    return table


def conv(filters: int, kernel: int, stride: int = 1, **fields: Any) -> dict:
    """A convolution with "same" padding."""
    return dict(op="conv", filters=filters, kernel=kernel, stride=stride, **fields)


def conv_transpose(filters: int, kernel: int, stride: int = 1, **fields: Any) -> dict:
    """A transposed convolution without a bias, as in all of the report's generators."""
    fields = dict(use_bias=False) | fields
    return dict(op="conv_transpose", filters=filters, kernel=kernel, stride=stride, **fields)


def residual(filters: int, kernel: int = 3, **fields: Any) -> dict:
    """Two convolutions added to what enters them; no normalisation, leaky ReLU ahead of each."""
    return dict(op="residual", filters=filters, kernel=kernel, **(dict(norm="none") | fields))


def upsample(size: tuple[int, int] = (2, 2)) -> dict:
    """Interpolates between pixels, without aliasing."""
    return dict(op="upsample", size=size, filter="linear")


def double() -> dict:
    """Interpolates to twice the size, or a pixel less where the image's size is odd."""
    return dict(op="double")


def to_image(kernel: int = 3, **fields: Any) -> dict:
    """Ends a level of a generator (toRGB): adds to the image of the level below, enlarged."""
    fields = dict(activation="none") | fields
    return dict(op="to_image", kernel=kernel, **fields)


def from_image(filters: int, kernel: int, stride: int = 1, **fields: Any) -> dict:
    """Begins a level of a discriminator (fromRGB): adds its image to the features from above."""
    fields = dict(norm="none") | fields
    return dict(op="from_image", filters=filters, kernel=kernel, stride=stride, **fields)


def downsample(size: tuple[int, int] = (2, 2)) -> dict:
    """Smooths and takes every few pixels."""
    return dict(op="downsample", size=size, filter="linear")


def project(filters: int, **fields: Any) -> dict:
    """A dense layer without a bias, reshaped to the generator's first image."""
    return dict(op="project", filters=filters, **(dict(use_bias=False) | fields))


def image_output(row: dict) -> dict:
    """The last row of a generator: no normalisation, tanh. Three filters stand for the channels."""
    return row | dict(norm="none", activation="tanh")


def logit() -> tuple[dict, dict]:
    """The last rows of a discriminator: one number, no sigmoid."""
    return dict(op="flatten"), dict(op="dense", filters=1, norm="none", activation="none")
