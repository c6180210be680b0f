"""Which values of a parametrised test `make test` takes, and which `make test-slow`."""

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """One set of values, left to `make test-slow`."""
    return pytest.param(*values, marks=pytest.mark.slow)
