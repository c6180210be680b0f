"""The type of a configuration, for annotations."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

Config = Mapping[str, Any] | ConfigDict
