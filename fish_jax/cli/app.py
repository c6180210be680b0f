"""The command `fish-jax`: parses flags and calls the mode. main.py runs it from a checkout."""

import contextlib
import os
import re
import signal
import sys
from types import FrameType
from typing import Any

from absl import app, flags, logging

from fish_jax.cli import config_flags, jax_import
from fish_jax.cli.help import help_text
from fish_jax.cli.modes import COMMANDS, FIELDS, NEEDED, PROCESSES
from fish_jax.errors import Stopped, UserError
from fish_jax.utils import malloc, signals, stdio
from fish_jax.utils.log import LOGGER
from fish_jax.utils.messages import printable_lines
from fish_jax.utils.paths import expand
from fish_jax.utils.validation import shown

flags.DEFINE_string(
    "config",
    None,
    "preset or Python file; `:demo` selects its small version: ralsgan, ralsgan:demo, mine.py. "
    "--config.FIELD=VALUE sets one field",
)
MODE = flags.DEFINE_string("mode", "train", f"one of {', '.join(COMMANDS)}")
flags.DEFINE_string("workdir", "", "folder of the run (default: runs/NAME); serve takes several")
flags.DEFINE_string("init", "", "folder of another run, to start from its weights")
DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "check everything and print the plan, without training"
)
flags.DEFINE_string(
    "coordinator", "", "HOST:PORT at which process 0 listens, to train with several processes"
)
flags.DEFINE_integer("num_processes", None, "number of processes that train the run, on all hosts")
flags.DEFINE_integer("process_id", None, "index of this process, starting at 0")
flags.DEFINE_string("seeds", "0-15", "seeds to render, e.g. 0,1,4-6")
flags.DEFINE_integer("frames", 24, "number of frames from one seed to the next")
flags.DEFINE_string("config.data.path", "", "new place of the run's images, if they were moved")
flags.DEFINE_string("real", "", "real images: a folder, a .zip or a .npy")
flags.DEFINE_string("fake", "", "generated images: a folder, a .zip or a .npy")
flags.DEFINE_string(
    "size",
    "",
    "HEIGHTxWIDTH at which to compare images, such as 140x320 (default: the size of the real "
    "images)",
)
flags.DEFINE_string("image", "", "image file whose latent to find")
flags.DEFINE_string("inception", "", "Inception weights, .npz or .safetensors; adds FID and KID")
flags.DEFINE_string("resize", None, "how to resize images for Inception: clean (default) or legacy")
flags.DEFINE_bool(
    "averaged",
    True,
    "use the moving average of the generator's weights if the run has one; --noaveraged: use the "
    "last weights",
)
flags.DEFINE_string(
    "checkpoint",
    "newest",
    "checkpoint to load: newest, best (by the score in the config's keep_best) or the number of a "
    "step",
)
flags.DEFINE_string(
    "out",
    "",
    "file or folder to write (default: in the run's folder). data, invert: a .png; sample: a "
    ".png, or a folder for one file per seed; walk, film: a .webp or .gif; export: a folder",
)
flags.DEFINE_string("host", "127.0.0.1", "address to listen on")
flags.DEFINE_string(
    "hosts",
    "",
    ("names under which visitors reach the page, such as fish.example.org"),
)
flags.DEFINE_integer("port", 8000, "port to listen on; 0 picks a free one")

PATHS = ("workdir", "out", "inception", "init", "real", "fake", "image")


def parse(arguments: list[str]) -> list[str]:
    """Parses the command line, whose first word may be the mode; prints the help if asked.

    Args:
      arguments: with the program's name first.

    Returns:
      The arguments that are neither the mode nor flags.

    Raises:
      UserError: a mistake in the arguments.
      SystemExit: help was printed.
    """
    program, *words = arguments
    if words and not words[0].startswith("-"):
        if words[0] not in COMMANDS:
            raise UserError(f"unknown mode {shown(words[0])}; modes are {', '.join(COMMANDS)}")
        if any(re.match(r"--?mode\b", word) for word in words):
            raise UserError(f"{words[0]} already names the mode; leave out --mode")
        words[0] = f"--mode={words[0]}"
    if {"-h", "-help", "--help", "--helpfull", "--helpshort"} & set(words):
        print(help_text(words))
        sys.exit(0)
    return config_flags.parse_flags([program, *words])


def _refuse_unused() -> None:
    """Refuses flags that were given and that the mode does not take."""
    used = COMMANDS[MODE.value].flags
    unused = [name for command in COMMANDS.values() for name in command.flags if name not in used]
    where = dict.fromkeys(unused, MODE.value)
    if DRY_RUN.value:
        where |= dict.fromkeys(PROCESSES, "--dry_run")
    for name, place in where.items():
        flag = flags.FLAGS[name]
        if flag.present:
            typed = f"no{name}" if flag.value is False else name
            raise UserError(f"{place} does not use --{typed}; leave it out")


def main(arguments: list[str]) -> None:
    """Calls the function of the mode with the values of its flags.

    Raises:
      UserError: a mistake in the flags, the config or the files that they name.
    """
    logging.set_verbosity(logging.FATAL)  # JAX and Orbax log each of their steps
    if len(arguments) > 1:
        raise UserError(
            f"unexpected argument {arguments[1]!r}; write the mode first, then flags that begin "
            "with --"
        )
    if MODE.value not in COMMANDS:
        raise UserError(f"--mode must be one of {', '.join(COMMANDS)}, not {MODE.value!r}")
    _refuse_unused()
    takes = COMMANDS[MODE.value].takes
    given = {name: flags.FLAGS[FIELDS.get(name, name)] for name in takes if name != "section"}
    values: dict[str, Any] = {name: flag.value for name, flag in given.items()}
    values |= {name: expand(values[name]) for name in PATHS if values.get(name)}
    for name, what in NEEDED.items():
        if name in takes and "config" not in takes and not values[name].strip(","):
            raise UserError(f"{MODE.value} needs --{name}, {what}")
    jax_import.import_jax()  # not before the flags are known to be right
    from fish_jax.cli import commands

    if "config" in takes:
        values["config"], section = config_flags.checked_config()
        if MODE.value == "compare":
            commands.check_section(values["config"], section)
        if DRY_RUN.value:
            folder, init = values.get("workdir", ""), values.get("init", "")
            return commands.dry_run(values["config"], section, folder, init)
        if "section" in takes:
            values["section"] = section
    return getattr(commands, MODE.value)(**values)


LATE = ("Event loop is closed", "Encountered error while reading array")


def hide_late_failures(failure: Any) -> None:
    """Drops what TensorStore's threads report late on a damaged checkpoint; shows all else."""
    if not any(text in str(failure.exc_value) for text in LATE):
        sys.__unraisablehook__(failure)


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the program at once: an exception may be lost in JAX, or wait until XLA has compiled."""
    with contextlib.suppress(OSError):
        LOGGER.info("stop: interrupted by %s", signal.Signals(number).name)
    os.write(2, b"interrupted; saved checkpoints are kept\n")
    os._exit(128 + number)


def run() -> None:
    """Runs the command line; reports a user's mistake in one sentence, with an exit code."""
    sys.unraisablehook = hide_late_failures
    for number in signals.stop_signal_numbers():
        signal.signal(number, leave)
    try:
        app.run(main, flags_parser=parse)
    except (OSError, UserError) as error:  # of reading and writing what the flags name, too
        sys.exit(f"error: {printable_lines(str(error))}")
    except Stopped as stop:
        text = f"{stop}. Run the same command again to resume."
        print(printable_lines(text), file=sys.stderr)
        sys.exit(stop.exit_code)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):  # by XLA
            raise
        sys.exit(f"error: out of memory: {error}; use smaller images or a smaller batch")


def start() -> None:
    """Prepares the process, then runs the command line."""
    stdio.open_closed()
    stdio.hide_compile_alarm()
    malloc.keep_pages()
    stdio.make_expendable()
    run()
