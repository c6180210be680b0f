"""The same update in PyTorch: one forward pass, both gradients, fused Adam."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks import common, torch_gan


class Mode(NamedTuple):
    """How the update is run.

    Attributes:
      channels_last: images and kernels lie in memory as JAX and TensorFlow have them.
      compiled: both networks go through torch.compile.
      graph: the whole update is one CUDA graph, captured once and replayed for each step.
    """

    channels_last: bool = False
    compiled: bool = False
    graph: bool = False


MODES = {
    "eager": Mode(),
    "channels_last": Mode(channels_last=True),
    "compile": Mode(channels_last=True, compiled=True),
    "graph": Mode(channels_last=True, graph=True),
    "compile_graph": Mode(channels_last=True, compiled=True, graph=True),
}


def _choose_device(device: str, mode: Mode) -> str:
    """PyTorch's name of the device."""
    if device == "gpu" and not torch.cuda.is_available():
        raise common.LeftOut("PyTorch finds no GPU here")
    if device != "gpu" and mode.graph:
        raise common.LeftOut("CUDA graphs are for a GPU")
    return "cuda" if device == "gpu" else "cpu"


def _choose_precision(precision: str) -> None:
    """Float32 keeps all digits; what autocast leaves in float32 may be multiplied in TF32."""
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cudnn.benchmark = True


def _autocast(config, device: str) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16, enabled=config["precision"] == "bfloat16")


def _losses(config, gan: torch_gan.Gan, generate, score, images, latents, targets):
    """Both losses, in float32, of scores in the config's precision.

    What is generated without a gradient comes second: autocast keeps the kernels' casts.
    """
    with _autocast(config, images.device.type):
        fake = gan.see(generate(latents[0]), gan.generator.turned)
        real = score(images.float() / 127.5 - 1).float()
        if config["loss"]["separate_latents"]:
            with torch.no_grad():
                other = gan.see(generate(latents[1]), gan.generator.turned)
            other = score(other).float()
        fake = score(fake).float()
    if not config["loss"]["separate_latents"]:
        return torch_gan.losses(config, real, fake, targets)
    d_loss, _ = torch_gan.losses(config, real, other, targets, 0.1)
    _, g_loss = torch_gan.losses(config, real, fake, targets, 0.1)
    return d_loss, g_loss


def _backward(gan: torch_gan.Gan, d_loss: torch.Tensor, g_loss: torch.Tensor) -> None:
    """Both gradients at the old parameters, as their `grad`."""
    d_parameters, g_parameters = gan.discriminator_parameters(), list(gan.generator.parameters())
    d_gradient = torch.autograd.grad(d_loss, d_parameters, retain_graph=True)
    g_gradient = torch.autograd.grad(g_loss, g_parameters)
    for parameter, gradient in zip(d_parameters + g_parameters, d_gradient + g_gradient):
        parameter.grad = gradient


def _optimizers(config, gan: torch_gan.Gan, capturable: bool) -> list[torch.optim.Adam]:
    settings = config["optimizer"]
    shared = dict(betas=(settings["b1"], settings["b2"]), eps=settings["eps"], fused=True)
    adam = lambda parameters, rate: torch.optim.Adam(
        parameters, rate, capturable=capturable, **shared
    )
    return [
        adam(gan.generator.parameters(), settings["generator_lr"]),
        adam(gan.discriminator_parameters(), settings["discriminator_lr"]),
    ]


def _captured(update: Callable[[torch.Tensor], None], batch: int) -> Callable:
    """The update as a CUDA graph; each replay draws its random numbers anew.

    A captured kernel reads what it read before from the same place: the choice of images is copied
    there. The runs before the capture choose cuDNN's kernels and make Adam's state.
    """
    indices = torch.arange(batch, device="cuda") % common.IMAGES
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            update(indices)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        update(indices)

    def replay(chosen: torch.Tensor) -> None:
        indices.copy_(chosen)
        graph.replay()

    return replay


def _check(config, device: str) -> dict[str, list[float]]:
    """Parameters and losses, as `common.Contestant.check` has them."""
    gan = torch_gan.Gan(config)
    gan.load(0)
    gan = gan.to(device)
    for module in gan.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    size, latent_size = (config["height"], config["width"]), config["latents"]["size"]
    labels = common.middle_labels(config)
    targets = [torch.full((common.CHECKED,), label, device=device) for label in labels]
    latents = torch.from_numpy(common.draw_latents(common.CHECKED, latent_size)).to(device)
    images = torch.from_numpy(common.draw_images(common.CHECKED, *size)).permute(0, 3, 1, 2)
    real = gan.see(images.to(device).float() / 127.5 - 1, turned=False)
    with torch.no_grad():
        with _autocast(config, device):
            fake = gan.see(gan.generator(latents), gan.generator.turned)
            real, fake = gan.score(real).float(), gan.score(fake).float()
        losses = torch_gan.losses(config, real, fake, targets)
    count = lambda parameters: sum(p.numel() for p in parameters)
    counts = [count(gan.generator.parameters()), count(gan.discriminator_parameters())]
    return {"parameters": counts, "losses": [float(loss) for loss in losses]}


def _settings(mode: str, device: str) -> str:
    where = f"{torch.get_num_threads()} threads"
    if device == "cuda":
        where = f"{torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}"
    return f"PyTorch {torch.__version__}, {where}, {mode}, fused Adam"


def prepare(config, mode: str, device: str) -> common.Contestant:
    """`mode` is a key of `MODES`."""
    torch.set_num_threads(2)
    how = MODES[mode]
    device = _choose_device(device, how)
    _choose_precision(config["precision"])
    layout = torch.channels_last if how.channels_last else torch.contiguous_format
    gan = torch_gan.Gan(config).to(device=device, memory_format=layout)
    generate, score = gan.generator, gan.score
    if how.compiled:
        generate, score = torch.compile(generate), torch.compile(score)
    optimizers = _optimizers(config, gan, capturable=how.graph)
    size, latent_size = (config["height"], config["width"]), config["latents"]["size"]
    batch = config["batch_size"]
    images = torch.from_numpy(common.draw_images(common.IMAGES, *size)).permute(0, 3, 1, 2)
    images = gan.see(images, turned=False).to(device)
    labels = [config["loss"][name] for name in ("real_label", "fake_label", "generator_label")]

    def update(indices: torch.Tensor) -> None:
        chosen = images[indices].contiguous(memory_format=layout)
        targets = [low + (high - low) * torch.rand(batch, device=device) for low, high in labels]
        latents = torch.randn(2, batch, latent_size, device=device)
        _backward(gan, *_losses(config, gan, generate, score, chosen, latents, targets))
        for each in optimizers:
            each.step()

    step = _captured(update, batch) if how.graph else update

    def run(count: int) -> None:
        order = torch.arange(count * batch, device=device).reshape(count, batch) % common.IMAGES
        for indices in order:
            step(indices)
        if device == "cuda":
            torch.cuda.synchronize()

    return common.Contestant(
        _settings(mode, device),
        lambda: _check(config, device),
        run,
        peak=torch.cuda.max_memory_allocated if device == "cuda" else None,
    )
