"""The presets: in a checkout the files of configs/, which a wheel holds here."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

__path__ = [str(Path(__file__).resolve().parents[2] / "configs")]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The modules there, which a type checker cannot find."""
        ...
