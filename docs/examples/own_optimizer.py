"""Compares an optimiser of your own with Adam, from three seeds."""

import optax

import fish_jax


def optimistic(learning_rate):
    """Adam that steps along twice the new direction less the one before."""
    return optax.optimistic_adam_v2(learning_rate, b1=0.0, b2=0.9)


if __name__ == "__main__":
    config = fish_jax.load_config("hinge", "demo")
    own = dict(generator_optimizer=optimistic(5e-4), discriminator_optimizer=optimistic(1e-3))
    configs = {"Adam": config, "optimistic": (config, own)}
    print(fish_jax.compare_configs(configs, range(3), "runs/own_optimizer").table())
