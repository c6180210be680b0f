"""Compares networks of your own, D with spectral normalisation, with ours from three seeds."""

import flax.linen as nn

import fish_jax


class Generator(nn.Module):
    @nn.compact
    def __call__(self, x, train):  # latents [N, Z] to images [N, 28, 64, 3] in [-1, 1]
        x = nn.relu(nn.Dense(7 * 16 * 64)(x)).reshape(-1, 7, 16, 64)
        x = nn.relu(nn.ConvTranspose(32, (4, 4), (2, 2))(x))
        return nn.tanh(nn.ConvTranspose(3, (4, 4), (2, 2))(x))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, x, train):  # images to scores [N, 1]
        for filters in (32, 64, 128):
            x = nn.leaky_relu(nn.SpectralNorm(nn.Conv(filters, (4, 4), 2))(x, update_stats=train))
        return nn.SpectralNorm(nn.Dense(1))(x.reshape(x.shape[0], -1), update_stats=train)


if __name__ == "__main__":
    config = fish_jax.load_config("hinge", "demo")
    mine = (config, dict(generator=Generator(), discriminator=Critic()))
    print(fish_jax.compare_configs({"ours": config, "mine": mine}, range(3), "runs/own").table())
