"""Flags that answer every mistake in a sentence."""

import ast
import dataclasses
import difflib
import functools
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from fish_jax.errors import UserError


def define_config(name: str, text: str) -> flags.FlagHolder:
    """Defines the flag of a config file; its fields can be overridden: `--config.batch_size=16`."""
    return config_flags.DEFINE_config_file(name, None, f"{text}; one of: {_config_names()}")


def _config_names() -> str:
    helpers = ("default", "__init__")
    folder = Path(__file__).resolve().parents[1] / "configs"
    files = sorted(path for path in folder.glob("*.py") if path.stem not in helpers)
    return ", ".join(os.path.relpath(path) for path in files)


def _field_names(config: Any, prefix: str = "") -> list[str]:
    names = []
    for name, value in config.items():
        names.append(prefix + name)
        if isinstance(value, ConfigDict):
            names += _field_names(value, f"{prefix}{name}.")
        if isinstance(value, tuple) and value and isinstance(value[0], dict):
            for index, row in enumerate(value):
                names += [f"{prefix}{name}[{index}].{field}" for field in row]
    return names


def _config_file(arguments: list[str]) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        match = re.fullmatch(r"--?config(?:=(.*))?", argument)
        if match:
            return following if match[1] is None else match[1]
    return None


def _load_config(value: str) -> ConfigDict:
    path, _, variant = value.partition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        raise UserError(f"no config file {path!r}; there are {_config_names()}")
    try:
        get_config = runpy.run_path(path)["get_config"]
        return get_config(variant) if variant else get_config()
    except Exception as error:  # whatever a user's own file may raise
        # ml_collections tells every field of a locked config before its hint.
        text = str(error).replace("\\n", "\n").strip("'")
        text = re.sub(r" Other fields present: .*?(?=\nDid you mean|$)", "", text, flags=re.DOTALL)
        raise UserError(f"{value}: {type(error).__name__}: {' '.join(text.split())}") from None


def _check_field(name: str, config: ConfigDict) -> None:
    known = _field_names(config)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"; did you mean {near[0]}?" if near else f"; fields are {', '.join(known)}"
        raise UserError(f"the config has no field {name!r}{hint}")


def _set_row_field(config: ConfigDict, argument: str) -> bool:
    """Sets a field that a row of a layer table leaves to its defaults, which absl cannot.

    Args:
      config: changed in place.
      argument: of the command line.

    Returns:
      Whether the argument was of this kind.
    """
    match = re.fullmatch(r"--?config\.([\w.]+)\.(layers|decoder)\[(\d+)\]\.(\w+)=(.*)", argument)
    if not match:
        return False
    from fish_jax.networks import Row  # imports JAX, which the other flags do without

    path, table, index, field, text = match.groups()
    kinds = {f.name: type(f.default) for f in dataclasses.fields(Row) if f.name != "op"}
    try:
        section = functools.reduce(getattr, path.split("."), config)
        rows = list(section[table])
        if field not in kinds or field in rows[int(index)]:
            return False
    except (AttributeError, KeyError, IndexError):
        return False
    try:
        value = text if kinds[field] is str else kinds[field](ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError):
        raise UserError(f"{argument}: {field} must be of type {kinds[field].__name__}") from None
    rows[int(index)] = dict(rows[int(index)]) | {field: value}
    section[table] = tuple(rows)
    return True


def parse_flags(arguments: list[str]) -> list[str]:
    """Parses the command line.

    Args:
      arguments: with the program's name first.

    Returns:
      What is left beside flags.

    Raises:
      UserError: an unknown flag, config file or field, or a value of another type.
    """
    value = _config_file(arguments)
    config = None if value is None else _load_config(value)
    row_arguments = []
    for argument in arguments[1:]:
        match = re.match(r"--?config\.([^=]+)", argument)
        if match and config is None:
            raise UserError(f"{match[0]} needs a config: --config=FILE, one of {_config_names()}")
        if match and _set_row_field(config, argument):
            row_arguments.append(argument)
        elif match:
            _check_field(match[1], config)
    # ml_collections reads overrides from sys.argv itself, and knows only fields that are there.
    sys.argv[:] = [argument for argument in sys.argv if argument not in row_arguments]
    try:
        rest = flags.FLAGS([a for a in arguments if a not in row_arguments])
    except (flags.Error, ValueError) as error:
        raise UserError(str(error)) from None
    for argument in row_arguments:
        _set_row_field(flags.FLAGS.config, argument)
    return rest


def checked_config(holder: flags.FlagHolder) -> ConfigDict:
    """The config of the flags, locked.

    Raises:
      UserError: none was given, or its file fails.
    """
    if holder.value is None:
        raise UserError(f"name a config: --config=FILE, one of {_config_names()}")
    return holder.value
