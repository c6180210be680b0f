"""Parses the command line: `--config` and its fields, with a sentence for each mistake."""

import ast
import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from fish_jax.cli.jax_import import import_jax
from fish_jax.cli.modes import COMMANDS
from fish_jax.config_loader import load_config, preset_names
from fish_jax.errors import UserError
from fish_jax.utils.config import Config
from fish_jax.utils.validation import check_fields, hint, shown

FLAG = re.compile(r"--?[A-Za-z]")  # how one begins; a value may begin with the sign of a number


def _load(value: str) -> ConfigDict:
    """The config that `--config` names: a preset or a file, and a variant behind a colon."""
    parts = re.fullmatch(r"(.*\.py|[^:]*)(?::(.*))?", value, re.DOTALL)
    name, variant = parts.groups() if parts else (value, None)
    return load_config(name, variant or "")


def _settable(config: Config, prefix: str = "") -> dict[str, Any]:
    """The fields that can be set, including those of rows, by their command-line names."""
    fields: dict[str, Any] = {}
    for name in config:
        value = config[name]
        if isinstance(value, ConfigDict):
            fields |= _settable(value, f"{prefix}{name}.")
            continue
        fields[f"{prefix}{name}"] = value
        rows: Any = value if isinstance(value, (list, tuple)) else ()
        for index, row in enumerate(rows):
            if isinstance(row, dict):
                fields |= {f"{prefix}{name}[{index}].{field}": row[field] for field in row}
    return fields


def _with_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, and for each row those it leaves to the defaults of its table."""
    import_jax()  # which the other fields do without
    from fish_jax.networks.spec import Row

    rows = dict.fromkeys(name.rpartition(".")[0] for name in fields if "[" in name)
    defaults = {field.name: field.default for field in dataclasses.fields(Row)}
    return {f"{row}.{name}": value for row in rows for name, value in defaults.items()} | fields


def _literal(text: str) -> Any:
    value = ast.literal_eval(text)
    return tuple(value) if isinstance(value, list) else value


# How the text of a field is read, by the type of the value before.
READERS: dict[type, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", flags.BooleanParser().parse),
    int: ("a whole number", int),
    float: ("a number", float),
    str: ("text", str),
    tuple: ("a tuple in brackets", _literal),
}


def _override(config: ConfigDict, name: str, text: str | None) -> None:
    fields = _settable(config)
    if name not in fields and "[" in name:
        fields = _with_defaults(fields)
    if name.startswith("compare.") and "compare" not in config:
        raise UserError(
            f"the config has no section compare, so no field {shown(name)}; use --config=compare, "
            "or start your file from fish_jax.configs.compare"
        )
    if name not in fields:
        raise UserError(f"the config has no field {shown(name)}{hint(name, fields)}")
    right, read = READERS.get(type(fields[name]), ("a literal of Python", _literal))
    if text is None and not isinstance(fields[name], bool):
        raise UserError(f"--config.{name} has no value; write {right}: --config.{name}=...")
    try:
        _set(config, name, True if text is None else read(text))
    # Python's parser runs out of memory and stack where brackets are nested too deep.
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        raise UserError(f"{name} must be {right}, not {shown(text)}") from None


def _set(config: ConfigDict, name: str, value: Any) -> None:
    *sections, last = name.split(".")
    row = sections.pop() if "[" in name else ""
    section: Any = config
    for each in sections:
        section = section[each]
    if row:
        table, index = row.rstrip("]").split("[")
        rows = list(section[table])
        rows[int(index)] = {**rows[int(index)], last: value}  # several rows may be the same dict
        section[table] = tuple(rows)
    else:
        section[last] = value


def _split(arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Splits config fields, each with its text or None, from the other arguments."""
    overrides, others, waiting = [], [], list(arguments)
    while waiting and waiting[0] != "--":
        argument = waiting.pop(0)
        name, equals, text = argument.partition("=")
        separate = not equals and bool(waiting) and not FLAG.match(waiting[0])
        if re.match(r"--?config\.", name):
            text = text if equals else waiting.pop(0) if separate else None
            overrides.append((name.partition(".")[2], text))
        elif re.match(r"--?noconfig\.", name) and not equals:
            overrides.append((name.partition(".")[2], "false"))
        else:
            flag, lacks = name.lstrip("-"), waiting and not equals and not separate
            if (
                lacks
                and FLAG.match(argument)
                and flag in flags.FLAGS
                and not flags.FLAGS[flag].boolean
            ):
                raise UserError(f"{name} has no value; {waiting[0]} is another flag")
            others.append(argument)
    return overrides, others + waiting


def _set_fields_of_run(overrides: Sequence[tuple[str, str | None]]) -> None:
    """Sets the fields that a mode takes for the config of a run; refuses all others."""
    mode = flags.FLAGS.mode
    known = COMMANDS[mode].flags if mode in COMMANDS else ()
    for field, text in overrides:
        name = f"config.{field}"
        if name not in known:
            raise UserError(f"--{name} needs a config: {_config_needed()}")
        if not text:
            raise UserError(f"--{name} has no value; write text: --{name}=...")
        flags.FLAGS[name].value = text


def _config_needed() -> str:
    return f"--config=NAME or a .py file; presets are {', '.join(preset_names())}"


def parse_flags(arguments: list[str]) -> list[str]:
    """Parses the command line; the value of --config becomes the config that it names.

    Args:
      arguments: with the program's name first.

    Returns:
      The arguments that are not flags.

    Raises:
      UserError: an unknown flag, config file or field, or a value of another type.
    """
    try:
        arguments = [*arguments[:1], *flags.FLAGS.read_flags_from_files(arguments[1:], False)]
        for argument in arguments:
            if "\0" in argument:
                raise UserError(f"{shown(argument)} contains a NUL character; remove it")
        overrides, others = _split(arguments)
        rest = flags.FLAGS(others)
    except (flags.Error, ValueError) as error:
        text = re.sub(r": \('Non-boolean argument.*", " must be true or false", str(error))
        raise UserError(" ".join(text.split())) from None
    value = flags.FLAGS.config
    if value is None:
        _set_fields_of_run(overrides)
    else:
        config = _load(value)
        for name, text in overrides:
            _override(config, name, text)
        flags.FLAGS.config = config
    return rest


def checked_config() -> tuple[ConfigDict, ConfigDict | None]:
    """The config of the flags, and apart from it the section of a comparison if it has one.

    Raises:
      UserError: none was given, or it has a wrong value.
    """
    from fish_jax.gan import config_schema  # imports JAX: not before the flags are right

    config = flags.FLAGS.config
    if config is None:
        raise UserError(f"give a config: {_config_needed()}")
    section = config.get("compare")
    if section is not None:
        with config.unlocked():
            del config.compare
        check_fields(section, config_schema.COMPARE, "compare")
    config_schema.check_config(config)
    return config, section
