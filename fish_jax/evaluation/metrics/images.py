"""Images as the metrics accept them: one check and one conversion."""

import jax
import jax.numpy as jnp
import numpy as np

Images = jax.Array | np.ndarray


def check_images(images: Images) -> None:
    """Checks that images are uint8 or floating [N, H, W, 3] with N, H and W of at least 1.

    Raises:
      ValueError: names the type and shape.
    """
    is_right = images.dtype == jnp.uint8 or jnp.issubdtype(images.dtype, jnp.floating)
    if not is_right or images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape:
        raise ValueError(
            "images must be uint8 or floats of 0 to 255, of shape [N, H, W, 3], "
            f"not {images.dtype}{list(images.shape)}"
        )


def to_floats(images: Images) -> jax.Array:
    """Converts images to float32, or keeps float64 where JAX has it enabled."""
    array = jnp.asarray(images)
    return array if array.dtype == jnp.float64 else array.astype(jnp.float32)
