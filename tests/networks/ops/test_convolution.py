"""The fast convolutions against JAX's own: values and derivatives, over random shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.networks.ops.convolution import adjoint, convolve, geometry

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def plain(images, kernel, stride, padding):
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding.upper(), dimension_numbers=DIMENSIONS
    )


def plain_transpose(images, kernel, stride):
    return jax.lax.conv_transpose(
        images,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=DIMENSIONS,
        transpose_kernel=True,
    )


def draw(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [jnp.asarray(generator.normal(size=shape)) for shape in shapes]


def assert_same_to_second_order(fast, slow, arguments):
    """Values, both gradients, and the gradients of a gradient's norm, as penalties need them."""
    np.testing.assert_allclose(fast(*arguments), slow(*arguments), atol=1e-10)

    def penalty(function):
        gradients = jax.grad(lambda *a: jnp.sum(jnp.sin(function(*a))), argnums=(0, 1))
        return lambda *a: sum(jnp.sum(g**2) for g in gradients(*a))

    for function in (lambda f: lambda *a: jnp.sum(jnp.sin(f(*a))), penalty):
        ours = jax.grad(function(fast), argnums=(0, 1))(*arguments)
        theirs = jax.grad(function(slow), argnums=(0, 1))(*arguments)
        for our, their in zip(ours, theirs):
            scale = max(1.0, float(jnp.abs(their).max()))
            np.testing.assert_allclose(our / scale, their / scale, atol=1e-10)


@given(
    image=st.tuples(st.integers(5, 11), st.integers(5, 11)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    padding=st.sampled_from(["same", "valid"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None)
def test_convolution_equals_the_plain_one(image, kernel, stride, padding, seed):
    with jax.enable_x64(True):
        sizes = geometry(image, (kernel, kernel), stride, padding)
        arguments = draw(seed, (2, *image, 3), (kernel, kernel, 3, 2))
        assert_same_to_second_order(
            lambda x, k: convolve(x, k, sizes),
            lambda x, k: plain(x, k, stride, padding),
            arguments,
        )


@pytest.mark.slow
@given(
    image=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None)
def test_transposed_convolution_equals_the_plain_one(image, kernel, stride, seed):
    with jax.enable_x64(True):
        output = (image[0] * stride, image[1] * stride)
        sizes = geometry(output, (kernel, kernel), stride, "same")
        arguments = draw(seed, (2, *image, 3), (kernel, kernel, 2, 3))
        assert_same_to_second_order(
            lambda x, k: adjoint(x, k, sizes),
            lambda x, k: plain_transpose(x, k, stride),
            arguments,
        )


def test_kernel_smaller_than_its_stride_leaves_zeros():
    sizes = geometry((4, 4), (1, 1), 2, "same")
    output = adjoint(jnp.ones((1, 2, 2, 1)), jnp.full((1, 1, 1, 1), 3.0), sizes)
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 3
    np.testing.assert_array_equal(output[0, :, :, 0], expected)


def test_golden_transposed_convolution():
    """TensorFlow's `same`: 3 taps at stride 2 pad nothing before, so output row 0 is tap 0."""
    sizes = geometry((1, 6), (1, 3), 2, "same")
    kernel = jnp.asarray([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    sizes = sizes._replace(before=(0, sizes.before[1]), output=(1, 3))
    output = adjoint(jnp.asarray([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1), kernel, sizes)
    np.testing.assert_array_equal(output.ravel()[:6], [1, 10, 102, 20, 203, 30])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes_are_kept_and_agree(dtype, strict_dtypes):
    sizes = geometry((8, 8), (3, 3), 2, "same")
    images, kernel = (x.astype(dtype) for x in draw(0, (2, 4, 4, 3), (3, 3, 2, 3)))
    fast, slow = adjoint(images, kernel, sizes), plain_transpose(images, kernel, 2)
    assert fast.dtype == dtype
    tolerance = 1e-5 if dtype == jnp.float32 else 0.1
    np.testing.assert_allclose(fast.astype(float), slow.astype(float), atol=tolerance)


def test_a_kernel_larger_than_an_image_without_padding():
    with pytest.raises(
        ValueError, match=r"a kernel of \(5, 5\) does not fit an unpadded image of \(8, 4\)"
    ):
        geometry((8, 4), (5, 5), 1, "valid")


def test_batching_by_vmap():
    sizes = geometry((8, 6), (3, 3), 2, "same")
    images, kernel = draw(0, (5, 2, 4, 3, 3), (3, 3, 2, 3))
    together = jax.vmap(lambda x: adjoint(x, kernel, sizes))(images)
    one_by_one = jnp.stack([adjoint(x, kernel, sizes) for x in images])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
