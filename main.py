"""The command line: flags, a config, one call."""

import contextlib
import os
import signal
import sys

from absl import app, flags, logging

from fish_jax.cli import config_flags
from fish_jax.errors import Stopped, UserError
from fish_jax.utils import malloc, signals, stdio
from fish_jax.utils.log import LOGGER

TOGETHER = ("coordinator", "num_processes", "process_id")  # of several processes
OF_CONFIG = ("config", "workdir", "dry_run")
# Modes, and the flags that each makes use of.
MODES = {
    "train": (*OF_CONFIG, *TOGETHER),
    "compare": OF_CONFIG,
    "describe": OF_CONFIG,
    "data": (*OF_CONFIG, "out"),
    "sample": ("workdir", "seeds", "out", "averaged"),
    "walk": ("workdir", "seeds", "frames", "out", "averaged"),
    "film": ("workdir", "out"),
    "export": ("workdir", "out", "averaged"),
    "serve": ("workdir", "host", "port"),
    "evaluate": ("workdir", "averaged", "inception", "resize"),
}

CONFIG = config_flags.define_config("config", "a file of configs/, with `:demo` for a small run")
flags.adopt_module_key_flags(config_flags)
MODE = flags.DEFINE_string("mode", "train", f"one of {', '.join(MODES)}")
WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "folder of the run; default: runs/<config name>; of --mode=serve one or several: A,B",
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "print config, networks, images and plan, and stop")
COORDINATOR = flags.DEFINE_string("coordinator", "", "HOST:PORT of the first of several processes")
PROCESSES = flags.DEFINE_integer("num_processes", None, "how many train the run, on all hosts")
PROCESS = flags.DEFINE_integer("process_id", None, "of this one, from 0")
SEEDS = flags.DEFINE_string("seeds", "0-15", "of --mode=sample and --mode=walk: 0,1,4-6")
FRAMES = flags.DEFINE_integer("frames", 24, "of --mode=walk, from one seed to the next")
INCEPTION_FILE = flags.DEFINE_string(
    "inception",
    "",
    "of --mode=evaluate: Inception's weights, .npz or .safetensors, for FID and KID",
)
RESIZE = flags.DEFINE_string("resize", None, "of --inception: clean (the default) or legacy")
AVERAGED = flags.DEFINE_bool(
    "averaged",
    True,
    "of --mode=sample, walk, export and evaluate: take the average of the generator's weights, "
    "where the run has one; --noaveraged: the last weights",
)
OUT = flags.DEFINE_string(
    "out",
    "",
    "a .png for one picture, or a folder for one per sample; of --mode=walk and --mode=film a "
    ".webp or .gif; of --mode=export a folder",
)
HOST = flags.DEFINE_string("host", "127.0.0.1", "of --mode=serve: the address to listen at")
PORT = flags.DEFINE_integer("port", 8000, "of --mode=serve; 0: any that is free")


def _refuse_unused() -> None:
    used = MODES[MODE.value]
    unused = [name for names in MODES.values() for name in names if name not in used]
    where = dict.fromkeys(unused, f"--mode={MODE.value}")
    if DRY_RUN.value:
        where |= dict.fromkeys(TOGETHER, "--dry_run")
    for name, place in where.items():
        flag = flags.FLAGS[name]
        if flag.present:
            typed = f"no{name}" if flag.value is False else name
            raise UserError(f"{place} makes no use of --{typed}; leave it out")


def main(arguments: list[str]) -> None:
    from fish_jax.cli import commands  # imports JAX: not before the flags are known to be right

    logging.set_verbosity(logging.FATAL)  # JAX and Orbax tell every step of theirs
    if len(arguments) > 1:
        raise UserError(f"unexpected argument {arguments[1]!r}; flags begin with --")
    if MODE.value not in MODES:
        raise UserError(f"--mode must be one of {', '.join(MODES)}, not {MODE.value!r}")
    _refuse_unused()
    folder, out = WORKDIR.value, OUT.value
    if MODE.value == "sample":
        return commands.sample(folder, SEEDS.value, out, AVERAGED.value)
    if MODE.value == "walk":
        return commands.walk(folder, SEEDS.value, FRAMES.value, out, AVERAGED.value)
    if MODE.value == "film":
        return commands.film(folder, out)
    if MODE.value == "export":
        return commands.export(folder, out, AVERAGED.value)
    if MODE.value == "serve":
        return commands.serve(folder, HOST.value, PORT.value)
    if MODE.value == "evaluate":
        return commands.evaluate(folder, INCEPTION_FILE.value, RESIZE.value, AVERAGED.value)
    config, section = config_flags.checked_config(CONFIG)
    if DRY_RUN.value:
        return commands.dry_run(config, section)
    if MODE.value == "describe":
        return commands.describe(config)
    if MODE.value == "data":
        return commands.data(config, folder, out)
    if MODE.value == "compare":
        return commands.compare(config, section, folder)
    if section is not None:
        raise UserError(f"{config.name} compares losses: add --mode=compare, or train another")
    return commands.train(config, folder, COORDINATOR.value, PROCESSES.value, PROCESS.value)


LATE = ("Event loop is closed", "Encountered error while reading array")


def hide_late_failures(failure) -> None:
    """Drops what TensorStore's threads report late on a damaged checkpoint; shows all else."""
    if not any(text in str(failure.exc_value) for text in LATE):
        sys.__unraisablehook__(failure)


def out_of_memory(error: Exception) -> str:
    return f"error: out of memory: {error}; smaller images or a smaller batch need less"


def leave(number: int, frame) -> None:
    """Ends the program at once: an exception may be lost in JAX, or wait until XLA has compiled."""
    with contextlib.suppress(OSError):
        LOGGER.info("stop: interrupted by %s", signal.Signals(number).name)
    os.write(2, b"interrupted; what was saved before is kept\n")
    os._exit(128 + number)


def run() -> None:
    sys.unraisablehook = hide_late_failures
    for number in signals.stop_signal_numbers():
        signal.signal(number, leave)
    try:
        app.run(main, flags_parser=config_flags.parse_flags)
    except UserError as error:
        sys.exit(f"error: {error}")
    except Stopped as stop:
        print(f"{stop}. To go on, run the same command again.", file=sys.stderr)
        sys.exit(stop.exit_code)
    except MemoryError as error:
        sys.exit(out_of_memory(error))
    except RuntimeError as error:  # as XLA says it
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        sys.exit(out_of_memory(error))
    except OSError as error:  # of reading and writing what the flags name
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    stdio.open_closed()
    malloc.keep_pages()
    stdio.make_expendable()
    run()
