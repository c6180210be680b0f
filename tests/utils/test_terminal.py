"""The bar of a run whose images do not all take the same time."""

import io

import pytest
from tqdm import tqdm

from fish_jax.utils.terminal import BAR, advance


def test_the_time_left_is_that_of_all_levels():
    text = io.StringIO()
    bar = tqdm(total=100, file=text, bar_format=BAR, mininterval=0, miniters=1)
    bar._ema_dt(2.0), bar._ema_dn(20)  # 10 images/s
    advance(bar, 20, 1200)
    assert bar.n == 20 and "02:00 left" in text.getvalue().split("\r")[-1]


@pytest.mark.parametrize("disable", [True, False])
def test_a_bar_that_nobody_sees_and_one_that_just_began(disable):
    bar = tqdm(total=100, file=io.StringIO(), bar_format=BAR, disable=disable)
    advance(bar, 0, 100)
    advance(bar, 5, 95)
    assert bar.n == (0 if disable else 5)
