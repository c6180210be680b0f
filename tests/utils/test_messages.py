"""Numbers and nouns in messages."""

import math

import pytest

from fish_jax.utils.messages import plural, rounded


@pytest.mark.parametrize(
    "value, digits, text",
    [
        (0.0, 4, "0"),
        (72.384, 4, "72.38"),
        (1726.4, 4, "1726"),
        (310.0, 2, "310"),
        (9999.6, 4, "10,000"),
        (297_512.0, 4, "297,500"),
        (-89_123.0, 2, "-89,000"),
        (0.005828, 4, "0.005828"),
        (1.5e-7, 2, "1.5e-07"),
        (math.nan, 4, "nan"),
        (math.inf, 2, "inf"),
    ],
)
def test_large_numbers_have_no_exponent(value, digits, text):
    assert rounded(value, digits) == text


def test_one_has_no_plural():
    assert [plural(n, "step") for n in (0, 1, 2_000)] == ["0 steps", "1 step", "2,000 steps"]
