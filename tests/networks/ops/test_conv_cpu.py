"""Every form of a convolution and its kernel gradient against its definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.networks.ops import conv_cpu, convolution, fusion, winograd

# height, width, rows and columns of the kernel, padding: same, none, uneven, and one cut off.
EXACT = jax.lax.Precision.HIGHEST
gradient = functools.partial(conv_cpu.operate_gradient, precision=EXACT)

SHAPES = [
    (5, 8, 3, 3, [(1, 1), (1, 1)]),
    (4, 11, 1, 2, [(0, 0), (0, 0)]),
    (6, 7, 5, 5, [(2, 2), (3, 1)]),
    (3, 9, 2, 4, [(0, 1), (2, 2)]),
    (5, 10, 3, 3, [(1, -1), (1, -2)]),
]


def _draw(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def operate(images, kernel, padding, strides=(1, 1)):
    return conv_cpu.operate(images, kernel, strides, padding, precision=EXACT)


def geometry_of(height, width, rows, columns, padding):
    """The geometry of a convolution of stride 1."""
    (above, below), (left, right) = padding
    output = height + above + below - rows + 1, width + left + right - columns + 1
    sizes = (rows, columns), (above, left), (height, width), output
    return conv_cpu.Geometry(1, *sizes, EXACT)


@pytest.mark.parametrize("shape", SHAPES)
def test_convolutions_equal_their_definition(shape, float64):
    height, width, rows, columns, padding = shape
    images, kernel = _draw(0, 2, height, width, 3), _draw(1, rows, columns, 3, 4)
    geometry = geometry_of(*shape)
    assert geometry.padding == padding

    @jax.jit
    def differences(images, kernel):
        expected = operate(images, kernel, padding)
        made_width = expected.shape[2]
        block = next(b for b in range(2, made_width + 1) if made_width % b == 0)
        made = [
            winograd.convolve(images, kernel, padding, operate),
            conv_cpu._as_products(images, kernel, geometry),
            conv_cpu._in_blocks(images, kernel, geometry, block),
        ]
        return [jnp.abs(each - expected).max() for each in made]

    assert max(differences(images, kernel)) < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_gradients_equal_their_definition(shape, float64):
    height, width, rows, columns, padding = shape
    geometry = geometry_of(*shape)
    images, cotangent = _draw(0, 2, height, width, 4), _draw(1, 2, *geometry.output, 3)

    @jax.jit
    def differences(images, cotangent):
        plain = lambda kernel: operate(images, kernel, padding)
        expected = jax.vjp(plain, jnp.zeros((rows, columns, 4, 3)))[1](cotangent)[0]
        made = [
            gradient(images, cotangent, padding),
            winograd.kernel_gradient(images, cotangent, padding, columns, gradient),
            conv_cpu._exchanged(images, cotangent, geometry),
        ]
        return [jnp.abs(each - expected).max() for each in made]

    assert max(differences(images, cotangent)) < 1e-11


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, kernel, stride", [((7, 11), 3, 2), ((6, 9), 5, 2), ((8, 13), 4, 3)])
def test_strided_winograd_equals_its_definition(size, kernel, stride, padding, float64):
    geometry = convolution.geometry(size, (kernel, kernel), stride, padding, EXACT)
    edges = geometry.padding
    images, cotangent = _draw(0, 2, *size, 3), _draw(1, 2, *geometry.output, 4)
    taps = _draw(2, kernel, kernel, 3, 4)

    @jax.jit
    def differences(images, taps, cotangent):
        plain = lambda taps: operate(images, taps, edges, strides=(stride, stride))
        expected, pull = jax.vjp(plain, taps)
        made = conv_cpu._by_winograd(images, taps, geometry)
        gradient = conv_cpu._gradient_by_winograd(images, cotangent, geometry)
        return jnp.abs(made - expected).max(), jnp.abs(gradient - pull(cotangent)[0]).max()

    assert max(differences(images, taps, cotangent)) < 1e-11


@pytest.mark.parametrize(
    "kernel, stride, width, pays",
    [
        (3, 1, 160, True),
        (5, 2, 80, True),
        (3, 2, 80, False),
        (5, 5, 32, False),
        (3, 1, 1, False),  # a block of 4 for one output
        (5, 2, 10, False),  # 12 for 10
        (5, 2, 12, True),
    ],
)
def test_winograd_where_it_pays(kernel, stride, width, pays):
    images = jax.ShapeDtypeStruct((8, 70, 160, 64), jnp.float32)
    assert conv_cpu._winograd_pays(images, kernel, 128, stride, width) is pays
    assert not conv_cpu._winograd_pays(images, kernel, 32, stride, width)


@pytest.mark.parametrize("taps", [2, 3, 5])
def test_winograd_in_single_precision(taps):
    """Largest errors, as shares of the largest output; the definition's own is about 3e-7."""
    images, kernel = (
        np.random.default_rng(i).standard_normal(s)
        for i, s in enumerate([(1, 6, 40, 64), (3, taps, 64, 64)])
    )
    padding = [(1, 1), (1, 1)]
    with jax.enable_x64(True):
        exact = operate(jnp.asarray(images), jnp.asarray(kernel), padding)
    single = [jnp.asarray(x, jnp.float32) for x in (images, kernel)]
    made = winograd.convolve(*single, padding, operate)
    error = np.abs(np.asarray(made, np.float64) - np.asarray(exact)).max() / np.abs(exact).max()
    assert error < 2e-6


def test_matrices_are_those_of_a_correlation():
    rng = np.random.default_rng(0)
    for taps in range(2, 6):
        to_outputs, to_kernel, to_inputs = winograd.matrices(taps)
        kernel, inputs = rng.standard_normal(taps), rng.standard_normal(len(to_inputs))
        made = to_outputs.T @ ((to_kernel @ kernel) * (to_inputs @ inputs))
        np.testing.assert_allclose(made, np.correlate(inputs, kernel), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "channels, features",
    [(64, 64), (1, 8), (3, 8), (8, 3), (8, 4), (16, 8), (64, 1), (64, 3), (6, 32)],
)
def test_the_form_chosen_changes_nothing(channels, features):
    """Of images large enough for every form, through the public functions."""
    images, kernel = _draw(0, 1, 64, 64, channels), _draw(1, 3, 3, channels, features)
    images, kernel = images.astype(jnp.float32), kernel.astype(jnp.float32)
    geometry = geometry_of(64, 64, 3, 3, [(1, 1), (1, 1)])

    @jax.jit
    def both(images, kernel):
        expected = operate(images, kernel, geometry.padding)
        made = conv_cpu.convolve(images, kernel, geometry)
        chosen = conv_cpu.kernel_gradient(images, expected, geometry)
        return (expected, made), (gradient(images, expected, geometry.padding), chosen)

    for plain, chosen in both(images, kernel):
        scale = float(jnp.abs(plain).max())
        np.testing.assert_allclose(chosen, plain, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("channels, features, stride", [(6, 32, 2), (64, 48, 1)])
def test_kernel_gradients_of_large_images(channels, features, stride):
    images = _draw(0, 2, 64, 64 * 64 // channels, channels).astype(jnp.float32)
    assert images.size >= fusion.CACHED
    geometry = convolution.geometry(images.shape[1:3], (3, 3), stride, "same", EXACT)
    plain = lambda kernel: operate(images, kernel, geometry.padding, geometry.strides)
    kernel = jnp.zeros((3, 3, channels, features), jnp.float32)
    cotangent = _draw(1, *jax.eval_shape(plain, kernel).shape).astype(jnp.float32)
    expected = jax.vjp(plain, kernel)[1](cotangent)[0]
    made = jax.jit(conv_cpu.kernel_gradient, static_argnums=2)(images, cotangent, geometry)
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * scale)
