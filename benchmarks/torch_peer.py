"""The same update in PyTorch: one forward pass, both gradients, fused Adam."""

import torch

from benchmarks import common, torch_gan


def _update(config, gan: torch_gan.Gan, generate, score, images, latents, targets):
    """Both losses and both gradients at the old parameters."""
    real_images = images.float() / 127.5 - 1
    fake = gan.see(generate(latents[0]), gan.generator.turned)
    real = score(real_images)
    if config["loss"]["separate_latents"]:
        with torch.no_grad():
            other = gan.see(generate(latents[1]), gan.generator.turned)
        d_loss, _ = torch_gan.losses(config, real, score(other), targets, 0.1)
        _, g_loss = torch_gan.losses(config, real, score(fake), targets, 0.1)
    else:
        d_loss, g_loss = torch_gan.losses(config, real, score(fake), targets)
    d_parameters, g_parameters = gan.discriminator_parameters(), list(gan.generator.parameters())
    d_gradient = torch.autograd.grad(d_loss, d_parameters, retain_graph=True)
    g_gradient = torch.autograd.grad(g_loss, g_parameters)
    for parameter, gradient in zip(d_parameters + g_parameters, d_gradient + g_gradient):
        parameter.grad = gradient


def prepare(config, batch: int, mode: str) -> common.Contestant:
    """`mode` is "eager", "channels_last" or "compile" (on channels_last)."""
    torch.set_num_threads(2)
    gan = torch_gan.Gan(config)
    layout = torch.contiguous_format if mode == "eager" else torch.channels_last
    gan = gan.to(memory_format=layout)
    generate, score = gan.generator, gan.score
    if mode == "compile":
        generate, score = torch.compile(generate), torch.compile(score)
    optimizer = config["optimizer"]
    settings = dict(betas=(optimizer["b1"], optimizer["b2"]), eps=optimizer["eps"], fused=True)
    optimizers = [
        torch.optim.Adam(gan.generator.parameters(), optimizer["generator_lr"], **settings),
        torch.optim.Adam(gan.discriminator_parameters(), optimizer["discriminator_lr"], **settings),
    ]
    size = (config["height"], config["width"])
    images = torch.from_numpy(common.draw_images(common.IMAGES, *size)).permute(0, 3, 1, 2)
    images = gan.see(images, turned=False)
    labels = [config["loss"][name] for name in ("real_label", "fake_label", "generator_label")]
    latent_size = config["latents"]["size"]

    def run(count: int) -> None:
        for step in range(count):
            chosen = images[torch.arange(step * batch, (step + 1) * batch) % common.IMAGES]
            targets = [low + (high - low) * torch.rand(batch) for low, high in labels]
            latents = torch.randn(2, batch, latent_size)
            chosen = chosen.contiguous(memory_format=layout)
            _update(config, gan, generate, score, chosen, latents, targets)
            for each in optimizers:
                each.step()

    def check() -> dict[str, list[float]]:
        judged = torch_gan.Gan(config)
        judged.load(0)
        for module in judged.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        targets = [torch.full((common.CHECKED,), label) for label in common.middle_labels(config)]
        latents = torch.from_numpy(common.draw_latents(common.CHECKED, latent_size))
        real = torch.from_numpy(common.draw_images(common.CHECKED, *size)).permute(0, 3, 1, 2)
        with torch.no_grad():
            real = judged.score(judged.see(real.float() / 127.5 - 1, turned=False))
            fake = judged.see(judged.generator(latents), judged.generator.turned)
            losses = torch_gan.losses(config, real, judged.score(fake), targets)
        count = lambda parameters: sum(p.numel() for p in parameters)
        counts = [count(judged.generator.parameters()), count(judged.discriminator_parameters())]
        return {"parameters": counts, "losses": [float(loss) for loss in losses]}

    text = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {mode}, fused Adam"
    return common.Contestant(text, check, run)
