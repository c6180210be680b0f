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
    config.precision = "float32"  # arithmetic of the networks; or "tf32", "bfloat16"
    config.epochs = 400  # passes over the images; 0: `images` sets the length
    config.images = ()  # images that D sees at each level of growing networks; (): no growth
    config.devices = 0  # most devices that share each batch; 0: all
    config.freeze = 0  # first rows of D whose weights stay unchanged (FreezeD)

    config.data = ConfigDict()
    config.data.path = ""  # folder, .zip or uint8 .npy [N, H, W, C]; empty: the synthetic fish
    config.data.count = 4415  # synthetic fish drawn, as many as the report had photographs
    config.data.fit = "stretch"  # or "crop" (centre), "pad" (white)
    config.data.resample = "lanczos"  # or "bicubic", "bilinear", "nearest" (the report's)
    config.data.channels = 3  # 1: grey, 3: RGB, 4: RGB and straight alpha
    config.data.include = ""  # file name patterns, comma-separated: "sash_*,rls_*"; empty: all
    config.data.seed = 0  # decides the drawn fish and the held-out images
    config.data.holdout = 0.0  # share of held-out images, chosen by a hash of the name
    config.data.flips = False  # mirror each image left to right with probability 1/2
    config.data.cache = ""  # folder of decoded images; empty: the user's cache folder
    config.data.device_gigabytes = 0.0  # limit for images on the device; 0: half of free memory

    config.latents = ConfigDict()
    config.latents.size = 100
    config.latents.distribution = "normal"  # N(0, 1), or "uniform", U(-1, 1)

    config.loss = ConfigDict()
    config.loss.name = "bce"  # a key of fish_jax.losses.LOSSES
    config.loss.d_factor = 1.0  # multiplies the discriminator's loss
    config.loss.g_factor = 1.0  # multiplies the generator's loss
    config.loss.real_label = (1.0, 1.0)  # D's target for real images, U(low, high) per image
    config.loss.fake_label = (0.0, 0.0)  # D's target for generated images
    config.loss.generator_label = (1.0, 1.0)  # G's target for generated images
    config.loss.separate_latents = False  # draw separate latents for G and D, as BEGAN does
    config.loss.feature_matching = "none"  # or "scalar" (the report's code), "mean", "sum" (paper)
    config.loss.feature_matching_weight = 1.0
    config.loss.gamma = 0.5  # BEGAN's diversity ratio L(G(z)) / L(x)
    config.loss.lambda_k = 0.001  # step size of BEGAN's k
    config.loss.energy = "mae"  # reconstruction error of an autoencoder D; or "mse"
    config.loss.margin = 1.0  # EBGAN's margin, on the energy's scale
    config.loss.pulling_away = 0.0  # weight of EBGAN's term in G's loss; 0.1 in the paper
    config.loss.gradient_penalty = 0.0  # weight of WGAN-GP's penalty; 10 in the paper
    config.loss.r1 = 0.0  # gamma: adds gamma / 2 x squared gradient at real images to D's loss
    config.loss.r2 = 0.0  # the same at generated images
    config.loss.penalty_every = 1  # n: apply penalties every n steps, scaled by n
    config.loss.clip = 0.0  # limit of D's weights (WGAN), 0.01 in the paper; 0: none
    config.loss.instance_noise = 0.0  # deviation of noise added to all images that D sees
    config.loss.augment = ""  # of images for D: any of "color,translation,cutout"
    config.loss.discriminator_steps = 1  # updates of D per update of G

    config.average = ConfigDict()  # moving average of G's weights, used for samples
    config.average.half_life = 0.0  # half-life in images seen; 0: no average
    config.average.ramp_up = 0.05  # limits the half-life to this share of images seen

    config.schedule = ConfigDict()  # factors that fall along a cosine from 1 to these values
    config.schedule.images = 0  # images seen until the end of the cosine; 0: no schedule
    config.schedule.learning_rate = 1.0  # factor on both learning rates at the end
    config.schedule.forgetting = 1.0  # factor on 1 - b2 of Adam at the end
    config.schedule.penalty = 1.0  # factor on gradient_penalty, r1 and r2 at the end

    config.optimizer = ConfigDict()
    config.optimizer.name = "keras_adam"  # or optax's "adam", "sgd", "rmsprop"
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
    config.checkpoint_minutes = 10.0  # minutes between checkpoints: the work that a crash may cost
    config.keep_checkpoints = 3  # number of newest checkpoints to keep
    config.keep_best = "frechet"  # also keep the checkpoint best by this score; "": none
    return config.lock()  # a misspelt field in an experiment's file is an error


class Demo(NamedTuple):
    """The changes of `:demo`: small synthetic fish, narrow networks, a few minutes of training.

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
      variant: the text after the colon of --config: "" or "demo".
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
    """Two convolutions added to their input; no normalisation, leaky ReLU ahead of each."""
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
