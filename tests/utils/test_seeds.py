"""The keys of seeds, under every setting that would give other numbers."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import flax
import jax
import numpy as np
import pytest

import fish_jax
from fish_jax.utils import seeds

# Written down from JAX 0.10.2 without any setting.
LATENT = [0.45123515, 1.9534509, -0.51623946]
SETTINGS = {  # as the environment may have them: names of JAX's configuration, and values
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 5,
    "jax_enable_x64": True,
}


def drawn():
    """The first numbers of seed 7: through the vectorised draw, and compiled anew."""
    draw = jax.jit(lambda seed: jax.random.normal(seeds.seed_key(seed), (32,), np.float32))
    return np.asarray(draw(np.uint32(7)))[: len(LATENT)]


@pytest.fixture
def restored():
    before = {name: jax.config.values[name] for name in SETTINGS}
    flax_before = flax.config.flax_fix_rng_separator
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    flax.config.update("flax_fix_rng_separator", flax_before)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_seed_is_the_same_under_every_setting(restored, name):
    jax.config.update(name, SETTINGS[name])
    importlib.reload(seeds)  # as a process does that begins with this setting
    np.testing.assert_allclose(drawn(), LATENT, rtol=1e-6)


def test_keys_of_parameters_are_flax_default(restored):
    flax.config.update("flax_fix_rng_separator", True)
    importlib.reload(seeds)
    assert flax.config.flax_fix_rng_separator is False


def test_keys_are_made_in_one_place():
    package = Path(fish_jax.__file__).parent
    made = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"random\.(key|PRNGKey)\b", path.read_text()) and path.name != "export.py"
    ]
    assert made == ["seeds.py"]


@pytest.mark.slow
def test_a_process_with_every_setting_creates_the_same_state():
    code = (
        "import zlib, jax, numpy as np\n"
        "from fish_jax.gan.model import make_gan\n"
        "from fish_jax.gan.state import create_state\n"
        "from helpers.tiny import tiny_config\n"
        "state = create_state(make_gan(tiny_config('ralsgan')), 0)\n"
        "leaves = jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))\n"
        "print(zlib.crc32(b''.join(np.asarray(leaf).tobytes() for leaf in leaves)))\n"
    )
    settings = {name.upper(): str(value) for name, value in SETTINGS.items()}
    settings |= {"FLAX_FIX_RNG_SEPARATOR": "1"}
    path = os.pathsep.join([str(Path.cwd()), str(Path.cwd() / "tests")])
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": path} | more,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({}, settings)
    ]
    assert found[0] == found[1]
