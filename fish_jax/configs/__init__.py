"""The presets: in a checkout the files of configs/, which a wheel holds here."""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "configs")]
