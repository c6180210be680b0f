"""Configurations by name or path: `load_config("ralsgan", "demo")`."""

import difflib
import re
import runpy
from pathlib import Path

from ml_collections import ConfigDict

from fish_jax import configs
from fish_jax.errors import UserError
from fish_jax.utils.paths import expand
from fish_jax.utils.validation import shown

FOLDER = Path(configs.__path__[0])
HELPERS = ("__init__", "default")  # files there that are no presets


def preset_names() -> list[str]:
    """The names that `load_config` knows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)


def load_config(name: str, variant: str = "") -> ConfigDict:
    """Reads a configuration, whose fields can be changed before it is used.

    Args:
      name: the name of a preset, such as "ralsgan", or the path of a Python file with a function
        `get_config`, which takes the variant if there is one.
      variant: "demo" for a small run on drawn fish, "" for the preset itself.

    Returns:
      The configuration, locked: a misspelt field is an error.

    Raises:
      UserError: there is no such preset or file, or the file does not give a configuration.
    """
    path = _find(name)
    try:
        get_config = runpy.run_path(str(path)).get("get_config")
        if not callable(get_config):
            raise UserError(f"{path} has no function get_config; add one that returns a config")
        config = get_config(variant) if variant else get_config()
        config = ConfigDict(config) if isinstance(config, dict) else config
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's own file may raise
        text = str(error).replace("\\n", "\n")
        if isinstance(error, KeyError):  # which quotes the whole of its message
            text = text.strip("'\"")
        # ml_collections tells every field of a locked config before its hint.
        text = re.sub(r" Other fields present: .*?(?=\nDid you mean|$)", "", text, flags=re.DOTALL)
        place = f"{name}:{variant}" if variant else name
        raise UserError(f"{place}: {type(error).__name__}: {' '.join(text.split())}") from None
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config of {path} returns {shown(config)}; it must return a config")
    return config


def _find(name: str) -> Path:
    """The file of a preset, or the path itself."""
    names = preset_names()
    if name in names:
        return FOLDER / f"{name}.py"
    path = Path(expand(name))
    if path.suffix != ".py" or not path.is_file():
        near = difflib.get_close_matches(name, names, 1, 0.75)
        guess = f"; did you mean {near[0]}? Give" if near else "; give"
        raise UserError(
            f"no config file {shown(name)}{guess} the path of a .py file, or one of the presets "
            f"{', '.join(names)}"
        )
    return path
