"""The modes of the command line: what each does, and the flags it takes."""

from typing import NamedTuple


class Command(NamedTuple):
    """A mode: a function of `commands`, called with the values of flags.

    Attributes:
      summary: a line that says what it does.
      takes: the function's parameters: names of flags, and `section` for the `compare` section of
        the config.
      example: flags of a typical call.
    """

    summary: str
    takes: tuple[str, ...]
    example: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the mode; modes that read a config also take --workdir and --dry_run."""
        names = [FIELDS.get(name, name) for name in self.takes if name != "section"]
        more = ["workdir", "dry_run"] if "config" in names else []
        return tuple(dict.fromkeys([*names, *more]))


# Fields of the config of a run that may be given anew, by the parameters that take them.
FIELDS = {"data_path": "config.data.path"}
# Flags that a mode which takes them, and no config, cannot do without: what they name.
NEEDED = {
    "workdir": "the folder of a run",
    "real": "a folder, zip or .npy of real images",
    "fake": "a folder, zip or .npy of generated images",
    "image": "an image file",
}
PROCESSES = ("coordinator", "num_processes", "process_id")
COMMANDS = {
    "train": Command(
        "train a GAN, or resume a stopped run (the default mode)",
        ("config", "section", "workdir", "init", "checkpoint", *PROCESSES),
        "--config=ralsgan --config.data.path=photos/",
    ),
    "compare": Command(
        "train several losses under one protocol and report their scores",
        ("config", "section", "workdir"),
        "--config=compare:demo --config.compare.losses=lsgan,hinge",
    ),
    "describe": Command("print both networks, layer by layer", ("config",), "--config=began"),
    "data": Command(
        "read the images and write a sheet of them, as training sees them",
        ("config", "workdir", "out"),
        "--config=ralsgan --config.data.path=photos/",
    ),
    "sample": Command(
        "render images of seeds",
        ("workdir", "seeds", "out", "averaged", "checkpoint"),
        "--workdir=runs/ralsgan --seeds=0-15 --out=samples.png",
    ),
    "walk": Command(
        "write an animation that interpolates from seed to seed",
        ("workdir", "seeds", "frames", "out", "averaged", "checkpoint"),
        "--workdir=runs/ralsgan --seeds=1,5,9 --out=walk.webp",
    ),
    "film": Command(
        "animate the samples that a run saved during training",
        ("workdir", "out"),
        "--workdir=runs/ralsgan --out=film.gif",
    ),
    "export": Command(
        "write the generator as one file that needs only JAX, with a model card",
        ("workdir", "out", "averaged", "checkpoint"),
        "--workdir=runs/ralsgan --out=export",
    ),
    "serve": Command(
        "serve a web page with the images of one or more runs",
        ("workdir", "host", "hosts", "port", "checkpoint"),
        "--workdir=runs/ralsgan,runs/began",
    ),
    "evaluate": Command(
        "score the images of a run against real images",
        ("workdir", "data_path", "inception", "resize", "averaged", "checkpoint"),
        "--workdir=runs/ralsgan",
    ),
    "score": Command(
        "score the images of any generator against real images",
        ("real", "fake", "size", "inception", "resize"),
        "--real=photos/ --fake=samples/ --size=128x128",
    ),
    "invert": Command(
        "find the latent whose image is closest to a given image",
        ("workdir", "image", "out", "averaged", "checkpoint"),
        "--workdir=runs/ralsgan --image=fish.jpg",
    ),
}
