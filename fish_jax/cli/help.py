"""What `--help` prints: all modes with their flags and an example, or one mode in detail."""

import itertools
import os
import sys
import textwrap
from collections.abc import Sequence

from absl import flags

from fish_jax.cli.modes import COMMANDS, Command
from fish_jax.config_loader import preset_names

WIDTH = 100
PROGRAMS = {"__main__.py": "python -m fish_jax", "main.py": "python main.py"}


def help_text(words: Sequence[str]) -> str:
    """The help for a command line.

    Args:
      words: the words of the command line, without the program's name; `--mode=NAME` picks a mode.
    """
    texts = [word.lstrip("-") for word in words]
    modes = [text.partition("=")[2] for text in texts if text.startswith("mode=")]
    modes += [after for text, after in itertools.pairwise(texts) if text == "mode"]
    program = PROGRAMS.get(os.path.basename(sys.argv[0]), "fish-jax")
    if modes and modes[-1] in COMMANDS:
        return _of_mode(program, modes[-1], COMMANDS[modes[-1]])
    lines = [
        f"usage: {program} [MODE] [--FLAG=VALUE ...]",
        "",
        "Trains GANs on a folder of images, and compares adversarial losses.",
        "",
        f"First try: {program} --config=best:demo",
        f"What each flag means: {program} MODE --help",
        *itertools.chain.from_iterable(_overview(program, *item) for item in COMMANDS.items()),
    ]
    return "\n".join(lines)


def _overview(program: str, name: str, command: Command) -> list[str]:
    """What a mode does, its flags and an example, in the help of all modes."""
    names = " ".join(f"--{flag}" for flag in command.flags)
    flags_lines = textwrap.wrap(
        names, WIDTH, initial_indent="  flags:   ", subsequent_indent=" " * 11
    )
    return [
        "",
        f"{name}: {command.summary}",
        *flags_lines,
        f"  example: {program} {name} {command.example}",
    ]


def _of_mode(program: str, name: str, command: Command) -> str:
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    lines = [f"usage: {program} {name} [--FLAG=VALUE ...]", "", summary, "", "flags:"]
    for flag in command.flags:
        lines += _of_flag(flags.FLAGS[flag])
    if "config" in command.flags:
        names = textwrap.fill(", ".join(preset_names()), WIDTH - 2, initial_indent="presets: ")
        lines += ["", textwrap.indent(names, "  ")]
    return "\n".join([*lines, "", f"example: {program} {name} {command.example}"])


def _of_flag(flag: flags.Flag) -> list[str]:
    default = f" (default: {flag.default})" if flag.default not in (None, "", False, True) else ""
    title = f"--[no]{flag.name}" if flag.boolean and flag.default else f"--{flag.name}"
    title = f"  {title:17} "
    return textwrap.wrap(
        f"{flag.help}{default}", WIDTH, initial_indent=title, subsequent_indent=" " * len(title)
    )
