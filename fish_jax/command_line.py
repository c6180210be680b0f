"""Flags that answer every mistake in a sentence."""

import difflib
import re
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
    files = sorted(Path("configs").glob("*.py"))
    return ", ".join(str(file) for file in files if file.stem not in helpers)


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


def _check_config_file(arguments: list[str]) -> None:
    value = _config_file(arguments)
    if value is None:
        return
    path = value.split(":")[0]
    if not Path(path).is_file() or not path.endswith(".py"):
        raise UserError(f"no config file {path!r}; there are {_config_names()}")


def _check_field(name: str, arguments: list[str]) -> None:
    """Refuses a field that the config of the arguments does not have."""
    path, _, variant = (_config_file(arguments) or "").partition(":")
    namespace: dict[str, Any] = {}
    if not path:
        raise UserError(f"--config.{name} needs a --config=FILE: one of {_config_names()}")
    exec(compile(Path(path).read_text(), path, "exec"), namespace)
    known = _field_names(namespace["get_config"](*([variant] if variant else [])))
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"; did you mean {near[0]}?" if near else f"; fields are {', '.join(known)}"
        raise UserError(f"the config has no field {name!r}{hint}")


def parse_flags(arguments: list[str]) -> list[str]:
    """Parses the command line.

    Args:
      arguments: with the program's name first.

    Returns:
      What is left beside flags.

    Raises:
      UserError: an unknown flag, config file or field, or a value of another type.
    """
    _check_config_file(arguments)
    for argument in arguments[1:]:
        match = re.match(r"--?config\.([^=]+)", argument)
        if match:
            _check_field(match[1], arguments)
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        raise UserError(str(error)) from None


def checked_config(holder: flags.FlagHolder) -> ConfigDict:
    """The config of the flags, locked.

    Raises:
      UserError: none was given, or its file fails.
    """
    if holder.value is None:
        raise UserError(f"name a config: --config=FILE, one of {_config_names()}")
    return holder.value
