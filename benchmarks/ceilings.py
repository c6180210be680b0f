"""Measures a device's ceilings: its fastest matrix product, and its memory bandwidth.

Usage: python -m benchmarks.ceilings DEVICE PRECISION. It prints one line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.networks.spec import PRECISIONS


def _fastest(run: Callable[[], None]) -> float:
    """Seconds of the fastest of five runs, after one to warm up."""
    run()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def cpu_ceilings() -> dict[str, float]:
    """As numpy reaches them, in float32."""
    square = np.ones((2048, 2048), np.float32)
    source, target = (np.ones(2**26, np.float32) for _ in range(2))
    product = _fastest(lambda: square @ square)
    copy = _fastest(lambda: np.copyto(target, source))
    return _rates(2 * 2048**3 / product, 2 * source.nbytes / copy)


def gpu_ceilings(precision: str, side: int = 8192, count: int = 2**28) -> dict[str, float]:
    """As JAX reaches them.

    Args:
      precision: of the product, a key of `PRECISIONS`.
      side: of the matrices.
      count: float32 numbers that are read, and as many that are written.

    Returns:
      `matrix_gflops` and `memory_gbytes`, per second.
    """
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    multiply = jax.jit(lambda x: jnp.matmul(x, x, precision=PRECISIONS[precision]))
    square = jax.random.normal(jax.random.key(0), (side, side), dtype)
    product = _fastest(lambda: _ten_times(multiply, square)) / 10
    # Adding one reads and writes what a copy does, and XLA cannot leave it out.
    add, numbers = jax.jit(lambda x: x + 1), jnp.ones(count)
    copy = _fastest(lambda: _ten_times(add, numbers)) / 10
    return _rates(2 * side**3 / product, 2 * 4 * count / copy)


def _ten_times(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> None:
    for _ in range(10):  # asked for at once, so that the device does not wait for the host
        result = function(x)
    jax.block_until_ready(result)


def _rates(flops: float, nbytes: float) -> dict[str, float]:
    return {"matrix_gflops": flops / 1e9, "memory_gbytes": nbytes / 1e9}


if __name__ == "__main__":
    device, precision = sys.argv[1:]
    print(json.dumps(gpu_ceilings(precision) if device == "gpu" else cpu_ceilings()))
