"""The same update in Keras on TensorFlow, with the networks of tests/peers."""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import common

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))

import keras_gans

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(2)


def _masks(config, batch: int, rate: float) -> tuple[list, list, list]:
    """Dropout masks of D's passes: those of lsgan's two convolutions, none elsewhere."""
    if config["name"] != "lsgan":
        return [], [], []
    height, width = config["height"], config["width"]
    shapes = [(batch, height // 2, width // 2, 64), (batch, height // 4, width // 4, 128)]
    draw = lambda shape: tf.cast(tf.random.uniform(shape) >= rate, tf.float32) / (1 - rate)
    masks = lambda: [draw(shape) for shape in shapes]
    return masks(), masks(), []


def _backward(config, networks, images, given, k: float) -> keras_gans.Outcome:
    images = tf.cast(images, tf.float32) / 127.5 - 1
    if config["name"] == "began":
        return keras_gans.backward_began(networks, images, given, k)
    return keras_gans.backward(config["name"], networks, images, given)


def _build(config) -> keras_gans.Networks:
    sizes = (config["height"], config["width"], config["latents"]["size"])
    return keras_gans.NETWORKS[config["name"]](*sizes, lambda filters: filters)


def _choose_precision(precision: str, device: str) -> None:
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise common.LeftOut("TensorFlow finds no GPU here")
    if precision == "bfloat16":
        raise common.LeftOut("float32 and TF32 only")
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")


def prepare(config, mode: str, device: str) -> common.Contestant:
    """`mode` is "graph" or "xla"."""
    _choose_precision(config["precision"], device)
    networks, optimizers = _build(config), keras_gans.optimizers(config["name"])
    optimizers.generator.build(networks.generator.trainable_variables)
    optimizers.discriminator.build(keras_gans.d_variables(networks))
    size, latent_size = (config["height"], config["width"]), config["latents"]["size"]
    batch = config["batch_size"]
    images = tf.constant(common.draw_images(common.IMAGES, *size))
    labels = [config["loss"][name] for name in ("real_label", "fake_label", "generator_label")]

    @tf.function(jit_compile=mode == "xla")
    def update(indices):
        given = keras_gans.Given(
            tf.random.normal((batch, latent_size)),
            tf.random.normal((batch, latent_size)),
            tuple(tf.random.uniform((batch,), low, high) for low, high in labels),
            _masks(config, batch, 0.3),
        )
        outcome = _backward(config, networks, tf.gather(images, indices), given, 0.1)
        keras_gans.update(networks, optimizers, outcome)
        return outcome.d_loss

    def run(count: int) -> None:
        for step in range(count):
            loss = update(tf.range(step * batch, (step + 1) * batch) % common.IMAGES)
        loss.numpy()

    def check() -> dict[str, list[float]]:
        judged = _build(config)
        for seed, model in enumerate([judged.generator, *judged.discriminator]):
            weights = common.Weights(seed)
            for layer in model.layers:
                if hasattr(layer, "kernel"):
                    layer.kernel.assign(weights(tuple(layer.kernel.shape)))
        latents = common.draw_latents(common.CHECKED, latent_size)
        labels = tuple(
            np.full(common.CHECKED, label, np.float32) for label in common.middle_labels(config)
        )
        masks = _masks(config, common.CHECKED, 0.0)
        given = keras_gans.Given(latents, latents, labels, masks)
        checked = tf.constant(common.draw_images(common.CHECKED, *size))
        # A function leaves out the unused gradients, which crash for dcgan_shallow outside XLA.
        losses = tf.function(
            lambda: _backward(config, judged, checked, given, 0.0)[:2], jit_compile=mode == "xla"
        )()
        count = lambda variables: sum(int(np.prod(v.shape)) for v in variables)
        trained = judged.generator.trainable_variables, keras_gans.d_variables(judged)
        counts = [count(variables) for variables in trained]
        return {"parameters": counts, "losses": [float(loss) for loss in losses]}

    text, peak = f"TensorFlow {tf.__version__}, {mode}", None
    if device == "gpu":
        peak = lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]
    else:
        without = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0"
        text += f", 2 threads, {'without oneDNN' if without else 'oneDNN'}"
    return common.Contestant(text, check, run, peak=peak)
