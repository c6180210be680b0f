"""The relativistic losses against a few lines of PyTorch: values, and gradients by autograd."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from helpers.xla_flags import fusion_emitters
from torch.nn.functional import relu

from fish_jax import losses

SHAPES = ((1, 1), (2, 2), (3, 3), (8, 8), (33, 33), (64, 64), (1, 5), (7, 2), (16, 48), (64, 1))
VECTORS = 1000
SCALES = (1e-3, 1.0, 30.0, 1e3)


def softplus(x):
    # PyTorch's own is x itself above 20: short by 2e-9.
    return torch.logaddexp(x, torch.zeros_like(x))


def average(real, fake):
    return real - fake.mean(), fake - real.mean()


def rabce(real, fake):
    r, f = average(real, fake)
    d_loss = (softplus(-r).mean() + softplus(f).mean()) / 2
    return d_loss, (softplus(r).mean() + softplus(-f).mean()) / 2


def ralsgan(real, fake):
    r, f = average(real, fake)
    d_loss = ((r - 1).pow(2).mean() + (f + 1).pow(2).mean()) / 2
    return d_loss, ((r + 1).pow(2).mean() + (f - 1).pow(2).mean()) / 2


def rahinge(real, fake):
    r, f = average(real, fake)
    d_loss = (relu(1 - r).mean() + relu(1 + f).mean()) / 2
    return d_loss, (relu(1 + r).mean() + relu(1 - f).mean()) / 2


def rpbce(real, fake):
    d = real - fake
    return softplus(-d).mean(), softplus(d).mean()


def rplsgan(real, fake):
    d = real - fake
    return (d - 1).pow(2).mean(), (d + 1).pow(2).mean()


def rphinge(real, fake):
    d = real - fake
    return relu(1 - d).mean(), relu(1 + d).mean()


def our_general(form: Callable, f: Callable, both: bool) -> Callable:
    """`form` at the instance f1(t) = f(t) and, if both, f2(t) = f(-t), halved; swapped for G."""
    factor = 0.5 if both else 1.0
    f1 = lambda t: factor * f(t)
    mirrored = lambda t: factor * f(-t)
    nothing = jnp.zeros_like
    if both:
        return lambda real, fake: form(real, fake, f1=f1, f2=mirrored, g1=mirrored, g2=f1)
    return lambda real, fake: form(real, fake, f1=f1, f2=nothing, g1=nothing, g2=f1)


def hinge(t):
    return jax.nn.relu(1 - t)


def square(t):
    return jnp.square(t - 1)


def cross_entropy(t):
    return jax.nn.softplus(-t)


# name: ours, PyTorch's, and whether scores are taken in pairs.
FAMILY = {
    "rabce": (losses.rabce, rabce, False),
    "ralsgan": (losses.ralsgan, ralsgan, False),
    "ragan of cross-entropy": (our_general(losses.ragan, cross_entropy, True), rabce, False),
    "ragan of squares": (our_general(losses.ragan, square, True), ralsgan, False),
    "ragan of hinges": (our_general(losses.ragan, hinge, True), rahinge, False),
    "rgan of cross-entropy": (our_general(losses.rgan, cross_entropy, False), rpbce, True),
    "rgan of squares": (our_general(losses.rgan, square, False), rplsgan, True),
    "rgan of hinges": (our_general(losses.rgan, hinge, False), rphinge, True),
}


def score_vectors(paired: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stacks of vectors, [K, N] and [K, M]: VECTORS in all, of every shape and scale, with ties."""
    random = np.random.default_rng(7)
    shapes = [shape for shape in SHAPES if shape[0] == shape[1] or not paired]
    count = -(-VECTORS // (len(shapes) * len(SCALES) * 2))
    for n, m in shapes:
        for scale in SCALES:
            stack = [scale * random.normal(size=(count, size)) for size in (n, m)]
            yield tuple(stack)
            yield tuple(np.round(3 * values / scale) for values in stack)  # of a few whole numbers


def differentiated(function: Callable) -> Callable:
    """Stacks of vectors to [D, its gradients by real and by fake, G, its gradients], stacked."""

    def both(real, fake):
        results = []
        for index in range(2):
            loss = lambda r, f, index=index: function(r, f)[index]
            value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(real, fake)
            results += [value, *gradients]
        return results

    # Without the emitters a mean is summed in another order, and ties at the hinge break otherwise.
    return jax.jit(jax.vmap(both), compiler_options=fusion_emitters(True))


def theirs(function: Callable, real: np.ndarray, fake: np.ndarray):
    rows = []
    for vectors in zip(torch.tensor(real), torch.tensor(fake)):
        leaves = [vector.clone().requires_grad_() for vector in vectors]
        row = []
        for loss in function(*leaves):
            row += [loss.detach(), *torch.autograd.grad(loss, leaves, retain_graph=True)]
        rows.append(row)
    return [torch.stack(column).numpy() for column in zip(*rows)]


@pytest.mark.parametrize("dtype, limit", [(np.float64, 1e-12), (np.float32, 1e-4)])
@pytest.mark.parametrize("name", FAMILY)
def test_values_and_gradients(name, dtype, limit):
    function, reference, paired = FAMILY[name]
    ours = differentiated(function)
    seen, worst = 0, 0.0
    with jax.enable_x64(dtype == np.float64), jax.numpy_dtype_promotion("strict"):
        for stack in score_vectors(paired):
            real, fake = (values.astype(dtype) for values in stack)
            left = map(np.asarray, ours(real, fake))
            right = theirs(reference, real, fake)
            for a, b in zip(left, right):
                assert a.shape == b.shape and a.dtype == b.dtype == dtype
                axes = tuple(range(1, b.ndim))
                # A gradient of squares near zero is a difference of numbers as large as a score.
                scale = np.maximum(np.abs(b).max(axes), 1.0 / real.shape[1])
                worst = max(worst, float((np.abs(a - b).max(axes) / scale).max()))
            seen += len(real)
    assert seen >= VECTORS
    print(f"{name}, {np.dtype(dtype).name}: {seen} pairs of vectors, differ by {worst:.1e}")
    assert worst < limit


@pytest.mark.parametrize("name", ["ralsgan", "rabce"])
def test_a_detached_mean_is_caught(name):
    """The comparison sees a gradient that does not flow through the means."""
    random, stop = np.random.default_rng(0), jax.lax.stop_gradient

    def detached(real, fake):
        r, f = real - stop(fake.mean()), fake - stop(real.mean())
        if name == "ralsgan":
            return ((r - 1) ** 2).mean() / 2 + ((f + 1) ** 2).mean() / 2, r.mean()
        return cross_entropy(r).mean() / 2 + cross_entropy(-f).mean() / 2, r.mean()

    real, fake = random.normal(size=(2, 3, 8)).astype(np.float32)
    left, right = differentiated(detached)(real, fake), theirs(FAMILY[name][1], real, fake)
    np.testing.assert_allclose(left[0], right[0], rtol=1e-5)
    assert np.abs(left[1] - right[1]).max() > 1e-3
